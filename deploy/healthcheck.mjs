/**
 * The image's health check: ends with 0 when the process does its work, with 1 and a line that says why when not.
 *
 *     node healthcheck.mjs [PID]
 *
 * A relay is asked for /healthz, at the first of its addresses with a port; a client for its proxy port. A provider has no port: while it runs it is well.
 * PID is that of the program, 1 in a container.
 */
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { get as getByTls } from 'node:https'
import { connect } from 'node:net'

const MODES = ['server', 'client', 'provider', 'connector']
const HOST = '127.0.0.1'
/** Below the 5 s after which the image's check counts as failed. */
const LIMIT_MS = 4_000

/** A port as the program takes it: from its command line, else from the variable. */
function portOf(args, short, long, variable, fallback) {
  const after = args[args.findLastIndex((arg) => arg === short || arg === long) + 1]
  const attached = args.findLast((arg) => arg.startsWith(`${long}=`) || new RegExp(`^${short}\\d+$`).test(arg))
  const given = args.includes(short) || args.includes(long) ? after : attached?.replace(/^\D+/, '')
  // 0 is any port: then only the variable can tell
  return given !== undefined && given !== '0' ? given : process.env[variable]?.trim() || fallback
}

/** The command that the program runs: that of its command line, else LINKSOCKS_MODE. */
function modeOf(args) {
  const named = args.find((arg) => MODES.includes(arg)) ?? process.env.LINKSOCKS_MODE ?? ''
  const offers = args.some((arg) => arg === '-r' || arg === '--reverse')
  return named.trim() === 'client' && offers ? 'provider' : named.trim()
}

function end(problem) {
  if (problem !== undefined) process.stderr.write(`unhealthy: ${problem}\n`)
  process.exit(problem === undefined ? 0 : 1)
}

/** What supervise.pl listens on, what --listen says, or its variable. */
function addressesOf(args) {
  const given = args.flatMap((arg, index) => {
    const [, name, address] = args[index - 1] === '--socket' ? (/^(http|tls)=(?!unix:)(.+)$/.exec(arg) ?? []) : []
    if (name !== undefined) return [`${name === 'tls' ? 'wss' : 'ws'}://${address}`]
    if (args[index - 1] === '--listen') return [arg]
    return arg.startsWith('--listen=') ? [arg.slice('--listen='.length)] : []
  })
  return given.length > 0 ? given : (process.env.LINKSOCKS_LISTEN ?? '').split(/[\s,]+/).filter((text) => text !== '')
}

/** Whether the server has certificates, and speaks TLS where it is told no more than a port. */
function hasCertificates(args) {
  const flags = ['--tls-cert', '--acme-domain']
  if (args.some((arg) => flags.some((flag) => arg === flag || arg.startsWith(`${flag}=`)))) return true
  return ['LINKSOCKS_TLS_CERT', 'LINKSOCKS_ACME_DOMAIN'].some((name) => process.env[name]?.trim())
}

/** The first address with a port, or that of -P: with TLS or without. */
function relayOf(args) {
  for (const address of addressesOf(args)) {
    const [, scheme, port] = /^(wss?):\/\/.*?(?::(\d+))?\/?$/i.exec(address.replace(/\[.*\]/, 'host')) ?? []
    if (scheme === undefined) continue
    const tls = scheme.toLowerCase() === 'wss'
    return { tls, port: port ?? (tls ? '443' : '80') }
  }
  const tls = hasCertificates(args)
  const acme = args.some((arg) => arg.startsWith('--acme-domain')) || process.env.LINKSOCKS_ACME_DOMAIN?.trim()
  return { tls, port: portOf(args, '-P', '--ws-port', 'LINKSOCKS_WEBSOCKET_PORT', acme ? '443' : '8765') }
}

function askRelay(args) {
  const { tls, port } = relayOf(args)
  // it is asked whether it answers, and shows a certificate for its name
  const options = { host: HOST, port, path: '/healthz', agent: false, rejectUnauthorized: false }
  const request = (tls ? getByTls : get)(options, ({ statusCode }) => {
    // with client certificates required this check has none to show
    end(statusCode === 200 || (tls && statusCode === 403) ? undefined : `/healthz answers ${statusCode}`)
  })
  request.on('error', (error) => {
    // a relay that waits for its first certificate does its work
    end(/UNRECOGNIZED_NAME/.test(error.code ?? '') ? undefined : error.message)
  })
}

function askSocks(args) {
  const port = portOf(args, '-p', '--socks-port', 'LINKSOCKS_SOCKS_PORT', '9870')
  connect(port, HOST)
    .on('connect', () => end())
    .on('error', (error) => end(error.message))
}

setTimeout(() => end(`no answer within ${LIMIT_MS} ms`), LIMIT_MS)
const args = readFileSync(`/proc/${process.argv[2] ?? '1'}/cmdline`, 'utf8').split('\0')
const mode = modeOf(args)
if (mode === 'server') askRelay(args)
else if (mode === 'provider') end()
else if (MODES.includes(mode)) askSocks(args)
else end('neither the command line nor LINKSOCKS_MODE names a command')
