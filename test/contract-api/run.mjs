// Holds a running server to its own OpenAPI document: whether that is valid, then schemathesis, first with a key that may
// only read, so that all is still there, then with one that may do everything; and promtool looks at the metrics.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { KEYS, startScene } from './scene.mjs'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const PROGRAMS = join(HERE, '.venv/bin')

/** Runs a program to its end; the scene lives in this process meanwhile. @returns whether all was well, or `skipped` */
async function run(program, args, { env = {}, input = '' } = {}) {
  process.stdout.write(`\n$ ${program.replace(HERE, '')} ${args.join(' ')}\n`)
  const child = spawn(program, args, {
    cwd: HERE,
    env: { ...process.env, ...env, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  child.stdin.on('error', () => {}).end(input)
  const code = await new Promise((resolve) => child.on('error', ({ code }) => resolve(code)).on('close', resolve))
  // a script whose interpreter is gone ends so too: only promtool may be missing
  if (code === 'ENOENT' && program !== 'promtool') return false
  if (code === 'ENOENT') process.stdout.write(`skipped: ${program} is not installed\n`)
  return code === 'ENOENT' ? 'skipped' : code === 0
}

async function get(url, key) {
  const response = await fetch(url, { headers: { 'x-api-key': key } })
  if (!response.ok) throw new Error(`GET ${url}: ${response.status}`)
  return await response.text()
}

/** Ids in one of the lists, as they stand there. */
async function idsOf(url, list) {
  return JSON.parse(await get(url, KEYS.full))[list].map(({ id }) => id)
}

/** @param {readonly string[]} args for schemathesis, such as `--include-path /api/token` */
async function judge(server, folder, args) {
  const document = join(folder, 'openapi.json')
  writeFileSync(document, await get(`${server.url}/api/openapi.json`, KEYS.readOnly))
  const fuzz = (key) =>
    run(
      join(PROGRAMS, 'schemathesis'),
      ['--config-file', join(HERE, 'schemathesis.toml'), 'run', document, '--url', server.url, ...args],
      { env: { CONTRACT_KEY: key, CONTRACT_METRICS_KEY: KEYS.metrics, HYPOTHESIS_STORAGE_DIRECTORY: folder } },
    )
  const kept = () => Promise.all(['tokens', 'clients'].map((list) => idsOf(`${server.url}/api/${list}`, list)))
  const before = await kept()
  const results = {
    document: await run(join(PROGRAMS, 'openapi-spec-validator'), [document]),
    'read-only key': await fuzz(KEYS.readOnly),
    'what a read-only key leaves': isDeepStrictEqual(await kept(), before),
    metrics: await run('promtool', ['check', 'metrics'], { input: await get(`${server.url}/metrics`, KEYS.metrics) }),
    'full key': await fuzz(KEYS.full),
    'log of the server': server.faults.length === 0,
  }
  for (const fault of server.faults) process.stdout.write(`${fault}\n`)
  return results
}

/** Counts the checks for the sum over all suites, if that is wanted. @returns names of those that failed */
function countResults(results) {
  const named = (wanted) => Object.keys(results).filter((name) => results[name] === wanted)
  const [passed, failed, skipped] = [named(true), named(false), named('skipped')]
  const counts = { passed: passed.length, failed: failed.length, skipped: skipped.length }
  if (process.env.SUITE_COUNTS !== undefined) writeFileSync(process.env.SUITE_COUNTS, JSON.stringify(counts))
  return failed
}

if (!existsSync(join(PROGRAMS, 'schemathesis'))) throw new Error('run test/contract-api/install.sh first')
const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
const server = await startScene()
try {
  const failed = countResults(await judge(server, folder, process.argv.slice(2)))
  process.stdout.write(failed.length === 0 ? '\nthe contract holds\n' : `\nfailed: ${failed.join(', ')}\n`)
  process.exitCode = failed.length === 0 ? 0 : 1
} finally {
  await server.end()
  rmSync(folder, { recursive: true })
}
