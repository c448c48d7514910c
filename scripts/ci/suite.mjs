import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from './command.mjs'

/** A suite that hangs must not take the others with it. */
const SUITE_LIMIT_MS = 30 * 60_000
const INSTALL_LIMIT_MS = 15 * 60_000

/**
 * Runs one suite. Suites write what they counted to the file that SUITE_COUNTS names: `{"passed":1,"failed":0,"skipped":0}`.
 * A suite that ran no test has failed, as has one that ends with another exit code than 0 or writes nothing.
 * @param {{ name: string, install?: readonly string[], command: readonly string[] }} suite
 * @param {{ signal?: AbortSignal }} options
 */
export async function runSuite({ name, install, command }, { signal } = {}) {
  console.log(`\n=== ${name}: ${command.join(' ')}`)
  const began = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'suite-'))
  const file = join(folder, 'counts.json')
  try {
    const installed = install && (await runCommand(install, { limitMs: INSTALL_LIMIT_MS, signal }))
    const ended = await runCommand(command, { limitMs: SUITE_LIMIT_MS, signal, env: { SUITE_COUNTS: file } })
    const row = judge(readCounts(file), ended)
    const missing = installed && !installed.ok ? `${install.join(' ')} ${installed.how}` : undefined
    const failed = missing === undefined ? row.failed : Math.max(1, row.failed)
    return { name, ...row, failed, reason: row.reason ?? missing, ms: performance.now() - began }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @returns what the suite counted, unless it wrote nothing that makes sense */
function readCounts(file) {
  if (!existsSync(file)) return undefined
  try {
    const { passed, failed, skipped } = JSON.parse(readFileSync(file, 'utf8'))
    return [passed, failed, skipped].every((count) => Number.isInteger(count) && count >= 0)
      ? { passed, failed, skipped }
      : undefined
  } catch {
    return undefined
  }
}

/** What a suite's counts and its end say together: neither is believed alone. */
function judge(counts, { ok, how }) {
  if (counts === undefined) return { passed: 0, failed: 1, skipped: 0, reason: `${how}, and counted no test` }
  const { passed, failed } = counts
  if (passed + failed === 0) return { ...counts, failed: 1, reason: 'ran no test' }
  if (failed === 0 && !ok) return { ...counts, failed: 1, reason: how }
  return { ...counts, reason: undefined }
}
