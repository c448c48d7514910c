// A server process with everything in it that the API can tell of: tokens of each type, clients of each role, live streams.
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client } from '../../dist/index.js'

const PROGRAM = fileURLToPath(new URL('../../bin/linksocks.js', import.meta.url))
const ENDING_MS = 10_000

export const KEYS = { full: 'full-key', readOnly: 'read-only-key', metrics: 'metrics-key' }
const PASSWORD = 'password of the port'
/** Bytes of what a SOCKS5 server says until the stream is open: method, verdict on the password, reply with an IPv4 address. */
const SOCKS_ANSWERS = 2 + 2 + 10

/** Starts the server, and waits until it is ready. @param {string} dataDir */
async function startServer(dataDir) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('LINKSOCKS_'))
  const env = {
    ...Object.fromEntries(others),
    LINKSOCKS_API_KEY: KEYS.full,
    LINKSOCKS_NAMED_API_KEYS: `screen:read-only:${KEYS.readOnly},second:full:second-key`,
    LINKSOCKS_METRICS_KEY: KEYS.metrics,
    LINKSOCKS_DATA_DIR: dataDir,
  }
  const args = ['server', '-H', '127.0.0.1', '-P', '0', '--log-format', 'json', '--trusted-proxy', '127.0.0.1/32']
  const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise((resolve) => child.on('close', () => resolve(undefined)))
  const events = new EventEmitter()
  /** What the log says of failures of our own. */
  const faults = []
  const [ready, opened] = ['server.ready', 'socks.listening'].map((name) => once(events, name))
  createInterface({ input: child.stderr }).on('line', (line) => {
    const { event, level, ...fields } = JSON.parse(line)
    if (level === 'error') faults.push(line)
    events.emit(event, fields)
  })
  const port = await Promise.race([ready.then(([{ address }]) => Number(address.split(':').at(-1))), ended])
  if (port === undefined) throw new Error(`the server did not start: ${faults.join('\n')}`)
  const end = async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), ENDING_MS)
    await ended
    clearTimeout(late)
  }
  return { port, url: `http://127.0.0.1:${port}`, faults, end, pid: child.pid, opened }
}

/** A target that sends back what it gets. */
async function startEcho() {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** A stream through the SOCKS5 port of a reverse token. */
async function dialSocks(port, target) {
  const socket = connect(port, '127.0.0.1')
  const text = (value) => Buffer.from([value.length, ...Buffer.from(value)])
  const login = Buffer.concat([Buffer.from([5, 1, 2, 1]), text('user'), text(PASSWORD)])
  socket.write(Buffer.concat([login, Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 0xff])]))
  let received = 0
  await new Promise((resolve, reject) => {
    socket.on('error', reject).on('close', () => reject(new Error('the SOCKS5 port closed the connection')))
    socket.on('data', ({ length }) => {
      received += length
      if (received >= SOCKS_ANSWERS) resolve()
    })
  })
  return socket
}

async function addToken(url, body) {
  const headers = { 'x-api-key': KEYS.full }
  const response = await fetch(`${url}/api/token`, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`POST /api/token: ${response.status} ${await response.text()}`)
  const added = await fetch(new URL(response.headers.get('location'), url), { headers })
  if (!added.ok) throw new Error(`${added.url}: ${added.status} ${await added.text()}`)
  return await response.json()
}

/** @returns the server, and what ends all that was started, in whatever state it is */
export async function startScene() {
  const ends = []
  const end = async () => {
    for (const step of ends.splice(0).reverse()) await step()
  }
  try {
    const dataDir = mkdtempSync(join(tmpdir(), 'linksocks-'))
    ends.push(() => rmSync(dataDir, { recursive: true }))
    const server = await startServer(dataDir)
    ends.push(server.end)
    const target = await startEcho()
    ends.push(() => target.close())
    const streams = await startTraffic(server, target.address().port, ends)
    for (const stream of streams)
      stream
        .on('error', () => {})
        .resume()
        .write('bytes')
    ends.push(() => streams.forEach((stream) => void stream.destroy()))
    return { ...server, end }
  } catch (error) {
    await end()
    throw error
  }
}

async function startTraffic({ url, opened }, target, ends) {
  const later = new Date(Date.now() + 86_400_000).toISOString()
  const policy = {
    egress: [{ action: 'deny', hosts: ['@metadata', '*.corp.example'], ports: [22, [8000, 8999]], protocol: 'tcp' }],
    ...{ egress_default: 'allow', max_streams: 1_000, max_clients: 10, sources: ['127.0.0.0/8', '::1'] },
  }
  await addToken(url, { type: 'forward', token: 'token of forward clients', label: 'Büro', expires_at: later, policy })
  const login = { username: 'user', password: PASSWORD }
  const { port } = await addToken(url, { type: 'reverse', token: 'token of providers', ...login })
  await addToken(url, { type: 'connector', token: 'token of connectors', reverse_token: 'token of providers' })
  await addToken(url, { type: 'reverse', token: 'token of autonomy', allow_manage_connector: true })
  const start = async (options) => {
    const client = new Client({ url, ...options })
    ends.push(() => client.close())
    await client.start()
    return client
  }
  await start({ token: 'token of providers', reverse: true })
  const forward = await start({ token: 'token of forward clients' })
  const connector = await start({ token: 'token of connectors' })
  // a moment after the provider has come
  await opened
  return [
    await forward.dial('127.0.0.1', target),
    await connector.dial('127.0.0.1', target),
    await dialSocks(port, target),
  ]
}
