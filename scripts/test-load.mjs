// Runs the suites of `npm test` beside a busy loop on every core, several times over, and names what failed: a test that waits
// for time instead of an event is found here and not on somebody's machine.
import { fork, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { endAtSignals } from './ci/end-signals.mjs'

const HELP = `Usage: npm run test:load -- [options] [vitest filters]

Runs the unit tests beside busy loops and names the tests that failed. Exit code 1 when one did.

  --times <n>  how often (1 to 100, default 3)
  --loops <n>  busy loops (0 to 64, default: one per core)`
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs')
/** Longest of one run: a suite that hangs is ended. */
const RUN_LIMIT_MS = 30 * 60_000
/** How long a loop is busy before it looks whether it is still wanted. */
const BURST_MS = 50

/** Keeps one core busy until the parent ends. */
function beBusy() {
  process.on('disconnect', () => process.exit())
  const burst = () => {
    const end = performance.now() + BURST_MS
    while (performance.now() < end);
    setImmediate(burst)
  }
  burst()
}

/** Runs all tests once. @returns {Promise<{ code: number, passed: number, failures: readonly string[] }>} */
async function runOnce(filters, signal) {
  const folder = mkdtempSync(join(tmpdir(), 'load-'))
  const report = join(folder, 'report.json')
  try {
    const args = [VITEST, 'run', '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`, ...filters]
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
    const stop = () => child.kill('SIGTERM')
    const reason = AbortSignal.any([signal, AbortSignal.timeout(RUN_LIMIT_MS)])
    reason.addEventListener('abort', stop)
    const code = await new Promise((resolve, reject) => {
      child.on('error', reject).on('close', (exit) => resolve(exit ?? 1))
    })
    reason.removeEventListener('abort', stop)
    if (!existsSync(report)) return { code: code || 1, passed: 0, failures: ['vitest wrote no report'] }
    const { passed, failures } = readReport(report)
    // errors outside of tests, and tests that a worker took with it, are in no report
    if (code !== 0 && failures.length === 0) failures.push(`vitest ended with ${code}: see above`)
    return { code, passed, failures }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readReport(path) {
  const { numPassedTests, testResults } = JSON.parse(readFileSync(path, 'utf8'))
  const failures = testResults.flatMap(({ name, status, assertionResults }) => {
    const file = relative(ROOT, name)
    const failed = assertionResults
      .filter((test) => test.status === 'failed')
      .map(({ fullName }) => `${file}: ${fullName}`)
    return status === 'failed' && failed.length === 0 ? [`${file}: the file itself`] : failed
  })
  return { passed: numPassedTests, failures }
}

function integer(text, name, min, max) {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new Error(`--${name} must be an integer from ${min} to ${max}`)
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      times: { type: 'string', default: '3' },
      loops: { type: 'string', default: `${availableParallelism()}` },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const [times, loops] = [integer(values.times, 'times', 1, 100), integer(values.loops, 'loops', 0, 64)]
  return { help: values.help, times, loops, filters: positionals }
}

/** @returns the exit code */
async function main() {
  let wanted
  try {
    wanted = readArguments()
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`)
    return 2
  }
  if (wanted.help) {
    console.log(HELP)
    return 0
  }
  const { times, loops, filters } = wanted
  console.log(`${loops} busy loops on ${availableParallelism()} cores (${cpus()[0]?.model.trim()})`)
  const busy = Array.from({ length: loops }, () =>
    fork(fileURLToPath(import.meta.url), ['--busy'], { stdio: 'ignore' }),
  )
  const ended = endAtSignals()
  const lines = []
  let bad = false
  try {
    for (let turn = 1; turn <= times && !ended.signal.aborted; turn += 1) {
      const began = performance.now()
      const { code, passed, failures } = await runOnce(filters, ended.signal)
      bad ||= code !== 0 || failures.length > 0 || passed === 0
      const seconds = Math.round((performance.now() - began) / 1_000)
      const load = loadavg()
        .map((value) => value.toFixed(1))
        .join(' ')
      lines.push(`run ${turn}: ${passed} passed, ${failures.length} failed in ${seconds} s, load average ${load}`)
      lines.push(...failures.map((name) => `  ${name}`))
    }
  } finally {
    for (const loop of busy) loop.kill('SIGKILL')
  }
  console.log(lines.join('\n'))
  return ended.exitCode ?? (bad ? 1 : 0)
}

if (process.argv[2] === '--busy') beBusy()
else process.exitCode = await main()
