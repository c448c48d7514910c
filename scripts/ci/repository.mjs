import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** @returns {string} what git sees beside the commit; throws where git fails */
export function workTree() {
  return git(['status', '--porcelain'])
}

/** A lock that names hosts would tie every clone to them. */
export function checkLock() {
  const named = readFileSync('package-lock.json', 'utf8').includes('"resolved"')
  return named
    ? { problem: 'package-lock.json names registry hosts (npm config set omit-lockfile-registry-resolved true)' }
    : {}
}

/** @param {string} before what workTree() said when the run began */
export function checkLeftovers(before) {
  const after = workTree()
  return after === before ? {} : { problem: `the run changed or left files that git sees:\n${after}` }
}

/** @returns {string} standard output; throws with what git said where it fails */
export function git(args, cwd = process.cwd()) {
  const options = { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }
  const { status, stdout, stderr, error } = spawnSync('git', args, options)
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}
