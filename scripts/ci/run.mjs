// Runs every suite, one after the other and whatever became of those before, and counts what ran. `.ci/run` starts it.
import { runCommand } from './command.mjs'
import { checkSubjects } from './commit-subjects.mjs'
import { endAtSignals } from './end-signals.mjs'
import { checkLeftovers, checkLock, workTree } from './repository.mjs'
import { runSuite } from './suite.mjs'
import { suiteLine, sumLine, table } from './summary.mjs'

/** Subjects of the commits after this one are checked. */
const SUBJECTS_AFTER = '04e81ad6883333b160e37ab004771a570b356363'
/** `npm ci` on a slow line. */
const INSTALL_LIMIT_MS = 10 * 60_000

/** In the order they run. `install` brings what a fresh machine lacks. */
const SUITES = [
  // the README's second command
  { name: 'unit', command: ['npm', 'test'] },
  // against the programs people run
  { name: 'interop', install: ['test/interop/install.sh'], command: ['npm', 'run', 'test:interop'] },
  // the HTTP API against its own document, by a fuzzer that reads it
  { name: 'contract', install: ['test/contract-api/install.sh'], command: ['npm', 'run', 'test:contract'] },
  // the dashboard in a real browser
  { name: 'browser', install: ['test/browser/install.sh'], command: ['npm', 'run', 'test:browser'] },
  // the examples of deploy/ in front of and around the program
  { name: 'deploy', install: ['test/deploy/install.sh'], command: ['npm', 'run', 'test:deploy'] },
  // the package on every Node it is for
  { name: 'package', command: ['npm', 'run', 'test:package'] },
]

/** One check of the repository as a row of its own. */
function checkRow(name, { problem, unchecked }) {
  const row = { name, passed: 0, failed: 0, skipped: 0, ms: 0, reason: problem ?? unchecked }
  if (problem !== undefined) return { ...row, failed: 1 }
  return unchecked === undefined ? { ...row, passed: 1 } : { ...row, skipped: 1 }
}

/** What could not be done fails, and takes nothing else with it. */
function broken(name, error) {
  return { name, passed: 0, failed: 1, skipped: 0, ms: 0, reason: error.stack }
}

function checked(name, check) {
  try {
    return checkRow(name, check())
  } catch (error) {
    return broken(name, error)
  }
}

/** @param {(row: object) => void} add @param {AbortSignal} signal */
async function runAll(add, signal) {
  add(checked('lock', checkLock))
  add(checked('subjects', () => checkSubjects(SUBJECTS_AFTER)))
  let before
  try {
    before = workTree()
  } catch (error) {
    add(broken('work tree', error))
  }
  const install = await runCommand(
    ['npm', 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      limitMs: INSTALL_LIMIT_MS,
      signal,
    },
  )
  add(checkRow('install', install.ok ? {} : { problem: `npm ci ${install.how}` }))
  for (const suite of SUITES) {
    if (install.ok && !signal.aborted)
      add(await runSuite(suite, { signal }).catch((error) => broken(suite.name, error)))
    else add({ name: suite.name, passed: 0, failed: 1, skipped: 0, ms: 0, reason: 'not run' })
  }
  add(checked('leftovers', () => checkLeftovers(before)))
}

const ended = endAtSignals()
// nobody reads on: the exit code still tells
process.stdout.on('error', () => {})
const rows = []
const add = (row) => {
  rows.push(row)
  console.log(suiteLine(row))
}
try {
  await runAll(add, ended.signal)
} catch (error) {
  add({ name: 'ci', passed: 0, failed: 1, skipped: 0, ms: 0, reason: error.stack })
}
console.log(`\n${table(rows)}\n`)
console.log(sumLine(rows))
process.exitCode = ended.exitCode ?? (rows.every(({ failed }) => failed === 0) ? 0 : 1)
