/**
 * The image's health check: ends with 0 when the process does its work, with 1 and a line that says why when not.
 *
 *     node healthcheck.mjs [PID]
 *
 * A relay is asked for /healthz, a client for its SOCKS5 port. A provider has no port: while it runs it is well.
 * PID is that of the program, 1 in a container.
 */
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { connect } from 'node:net'

const MODES = ['server', 'client', 'provider', 'connector']
const HOST = '127.0.0.1'
/** Below the 5 s after which the image's check counts as failed. */
const LIMIT_MS = 4_000

/** The command that the program runs: that of its command line, else LINKSOCKS_MODE. */
function modeOf(pid) {
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  const named = args.find((arg) => MODES.includes(arg)) ?? process.env.LINKSOCKS_MODE ?? ''
  const offers = args.some((arg) => arg === '-r' || arg === '--reverse')
  return named.trim() === 'client' && offers ? 'provider' : named.trim()
}

function end(problem) {
  if (problem !== undefined) process.stderr.write(`unhealthy: ${problem}\n`)
  process.exit(problem === undefined ? 0 : 1)
}

function askRelay() {
  const port = process.env.LINKSOCKS_WEBSOCKET_PORT?.trim() || 8765
  get({ host: HOST, port, path: '/healthz', agent: false }, ({ statusCode }) => {
    end(statusCode === 200 ? undefined : `/healthz answers ${statusCode}`)
  }).on('error', (error) => end(error.message))
}

function askSocks() {
  const port = process.env.LINKSOCKS_SOCKS_PORT?.trim() || 9870
  connect(port, HOST)
    .on('connect', () => end())
    .on('error', (error) => end(error.message))
}

setTimeout(() => end(`no answer within ${LIMIT_MS} ms`), LIMIT_MS)
const mode = modeOf(process.argv[2] ?? '1')
if (mode === 'server') askRelay()
else if (mode === 'provider') end()
else if (MODES.includes(mode)) askSocks()
else end('neither the command line nor LINKSOCKS_MODE names a command')
