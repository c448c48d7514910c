// npm run bench:rates: what the rates of tokens hold, in every mode, and what a limited token costs the others. All in about a minute.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from './lib/processes.mjs'

// built after types are checked
const LIBRARY = new URL('../dist/index.js', import.meta.url).href
const { Client, Server } = /** @type {typeof import('../src/index.js')} */ (await import(LIBRARY))

/** Bytes a second: 1 Mbit/s. */
const ASKED = 125_000
const BURST = 65_536
/** Behind the burst, when all streams are there. */
const BEGIN_MS = 6_000
const WINDOW_MS = 10_000
const WINDOWS = 2
/** Measurements of what others have, with a limited token and without one in turn. */
const TURNS = 3
const OTHERS_MS = 3_000
const SMALL_STREAM = 100 * 1_024
/** Deployed programs compress what can be. */
const CHUNK = randomBytes(64 * 1_024)
const PYTHON = fileURLToPath(new URL('../test/interop/.venv/linksocks-1.10.1/bin/python', import.meta.url))
const SHIM = fileURLToPath(new URL('../test/interop/peers/deployed.py', import.meta.url))

/** @typedef {{ port: number, close: () => Promise<void> | void }} Way a SOCKS5 port */
/** @typedef {{ name: string, peers: string, token: (direction: 'up' | 'down') => Promise<Way> }} Mode */

/** @type {(() => unknown)[]} */
const ends = []

/** Answers D with as many bytes as it names, U with nothing, E with what it gets; everything else is read and forgotten. */
async function startOrigin() {
  /** @type {Map<string, number>} */
  const received = new Map()
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (first) => {
      const kind = first.subarray(0, 1).toString()
      const name = first.subarray(1, 9).toString()
      if (kind === 'E') return void socket.pipe(socket)
      const count = (/** @type {Buffer} */ { length }) => received.set(name, (received.get(name) ?? 0) + length)
      if (kind === 'U') {
        count(first)
        socket.on('data', count)
      }
      let left = kind === 'D' ? Number.parseFloat(first.subarray(9).toString()) : 0
      const send = () => {
        while (left > 0 && !socket.destroyed) {
          const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
          left -= chunk.length
          if (!socket.write(chunk)) return
        }
        if (kind === 'D') socket.end()
      }
      socket.on('drain', send)
      send()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  ends.push(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, receivedBy: (/** @type {string} */ name) => received.get(name) ?? 0 }
}

/** @param {number} socksPort @param {number} port */
async function socks(socksPort, port) {
  const socket = connect(socksPort, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(Buffer.of(5, 1, 0))
  await read(socket, 2)
  socket.write(Buffer.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255))
  const reply = await read(socket, 10)
  if (reply[1] !== 0) throw new Error(`REP ${reply[1]}`)
  return socket
}

/** @param {import('node:net').Socket} socket @param {number} length */
async function read(socket, length) {
  for (;;) {
    const bytes = socket.read(length)
    if (bytes !== null) return /** @type {Buffer} */ (bytes)
    if (socket.destroyed) throw new Error('closed')
    await new Promise((resolve) => {
      const go = () => {
        socket.off('readable', go).off('close', go)
        resolve(undefined)
      }
      socket.on('readable', go).on('close', go)
    })
  }
}

/**
 * Moves as much as goes through, and counts it where it comes out.
 *
 * @param {Way} way
 * @param {Awaited<ReturnType<typeof startOrigin>>} origin
 * @param {{ direction: 'up' | 'down', streams: number, name: string, streamBytes?: number }} what
 */
function move(way, origin, { direction, streams, name, streamBytes = Number.POSITIVE_INFINITY }) {
  let down = 0
  let ended = false
  const one = async () => {
    const socket = await socks(way.port, origin.port)
    socket.write(direction === 'up' ? `U${name}` : `D${name}${streamBytes}`)
    let left = streamBytes
    const send = () => {
      while (direction === 'up' && left > 0 && !socket.destroyed && !ended) {
        const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
        left -= chunk.length
        if (!socket.write(chunk)) return
      }
      if (direction === 'up' && left <= 0) socket.end()
    }
    socket.on('drain', send)
    socket.on('data', ({ length }) => {
      down += length
      if (ended) socket.destroy()
    })
    send()
    await once(socket, 'close')
  }
  const run = async () => {
    do await one().catch(() => sleep(50))
    while (!ended && streamBytes !== Number.POSITIVE_INFINITY)
  }
  for (let index = 0; index < streams; index += 1) void run()
  return { moved: () => (direction === 'up' ? origin.receivedBy(name) : down), end: () => (ended = true) }
}

/** @param {readonly string[]} args a deployed program @param {RegExp} says */
async function deployed(args, says) {
  const child = spawn(PYTHON, [SHIM, 'client', '--direct-mode', 'relay-only', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  ends.push(() => child.kill('SIGKILL'))
  await new Promise((resolve, reject) => {
    let text = ''
    const hear = (/** @type {Buffer} */ data) => {
      text += data
      if (says.test(text)) resolve(undefined)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('exit', (code) => reject(new Error(`the deployed program ended with ${code}: ${text.slice(-500)}`)))
  })
}

const first = await freePort()
const server = new Server({ host: '127.0.0.1', port: 0, portRange: [first, first + 200] })
await server.listen()
ends.push(() => server.close())
const url = `ws://127.0.0.1:${server.address?.port}`
const origin = await startOrigin()
const hasDeployed = existsSync(PYTHON)
const policyOf = (/** @type {'up' | 'down'} */ direction) => ({ rate: { [direction]: ASKED, burst: BURST } })

/** @param {import('../src/index.js').ClientOptions} options */
async function ours(options) {
  const client = new Client({ url, ...options })
  await client.start()
  ends.push(() => client.close())
  return { port: client.socksAddress?.port ?? 0 }
}

/** @param {string} token */
async function old(token) {
  const port = await freePort()
  await deployed(['-u', url, '-t', token, '-p', `${port}`], /Authentication successful/)
  await sleep(500)
  return { port }
}
const oldProvider = (/** @type {string} */ token) =>
  deployed(['-u', url, '-t', token, '-r'], /Authentication successful/)
const provider = (/** @type {string} */ token) => ours({ token, reverse: true })
const connector = (/** @type {string} */ token) => ours({ token, socks: { port: 0 } })

/** @type {(provide: (token: string) => Promise<unknown>, connectBy: (token: string) => Promise<{ port: number }>) => Mode['token']} */
const agent = (provide, connectBy) => async (direction) => {
  const { token } = await server.addToken({ type: 'reverse', allowManageConnector: false })
  const { token: member } = await server.addToken({
    type: 'connector',
    reverseToken: token,
    policy: policyOf(direction),
  })
  await provide(token)
  return { ...(await connectBy(member)), close: () => {} }
}
/** @type {(provide: (token: string) => Promise<unknown>) => Mode['token']} */
const reverse = (provide) => async (direction) => {
  const { token, port = 0 } = await server.addToken({ type: 'reverse', policy: policyOf(direction) })
  await provide(token)
  return { port, close: () => {} }
}
/** @type {(connectBy: (token: string) => Promise<{ port: number }>) => Mode['token']} */
const forward = (connectBy) => async (direction) => {
  const { token } = await server.addToken({ type: 'forward', policy: policyOf(direction) })
  return { ...(await connectBy(token)), close: () => {} }
}

/** @type {readonly Mode[]} */
const MODES = [
  { name: 'forward', peers: 'stream control', token: forward(connector) },
  { name: 'reverse', peers: 'stream control', token: reverse(provider) },
  { name: 'agent', peers: 'stream control', token: agent(provider, connector) },
  ...(hasDeployed
    ? [
        { name: 'forward', peers: 'deployed client', token: forward(old) },
        { name: 'reverse', peers: 'deployed provider', token: reverse(oldProvider) },
        { name: 'agent', peers: 'deployed provider', token: agent(oldProvider, connector) },
        { name: 'agent', peers: 'deployed connector', token: agent(provider, old) },
      ]
    : []),
]
const SHAPES = [
  { title: '1 stream', streams: 1 },
  { title: '20 streams', streams: 20 },
  { title: '100 KiB each', streams: 1, streamBytes: SMALL_STREAM },
]

/** All modes at once, so that it takes no longer than one. @param {typeof SHAPES[number]} shape @param {number} at */
async function ratesOf({ title, ...shape }, at) {
  const cases = MODES.flatMap((mode) => /** @type {const} */ (['down', 'up']).map((direction) => ({ mode, direction })))
  const moving = []
  for (const [index, { mode, direction }] of cases.entries()) {
    const name = `${at}-${index}`.padEnd(8, '-')
    moving.push(move(await mode.token(direction), origin, { ...shape, direction, name }))
  }
  await sleep(BEGIN_MS)
  const rates = cases.map(() => /** @type {number[]} */ ([]))
  for (let window = 0; window < WINDOWS; window += 1) {
    const before = moving.map(({ moved }) => ({ time: performance.now(), bytes: moved() }))
    await sleep(WINDOW_MS)
    for (const [index, { moved }] of moving.entries()) {
      const { time, bytes } = before[index] ?? { time: 0, bytes: 0 }
      rates[index]?.push(((moved() - bytes) * 1_000) / (performance.now() - time))
    }
  }
  for (const { end } of moving) end()
  return { title, rates }
}

async function measureRates() {
  const columns = []
  for (const [at, shape] of SHAPES.entries()) columns.push(await ratesOf(shape, at))
  console.log(`asked: ${ASKED} bytes a second; measured over ${WINDOWS} times ${WINDOW_MS / 1_000} s, as parts of it\n`)
  console.log(`| mode | peers | direction | ${columns.map(({ title }) => title).join(' | ')} |`)
  console.log(`|---|---|---|${columns.map(() => '---|').join('')}`)
  const rows = MODES.flatMap(({ name, peers }) =>
    ['down', 'up'].map((direction) => `${name} | ${peers} | ${direction}`),
  )
  for (const [row, about] of rows.entries()) {
    const cells = columns.map(({ rates }) => rates[row]?.map((rate) => (rate / ASKED).toFixed(3)).join(', '))
    console.log(`| ${about} | ${cells.join(' | ')} |`)
  }
}

/** Echoes of 64 bytes on one connection, ascending. @param {number} socksPort @param {number} count */
async function echoes(socksPort, count) {
  const socket = await socks(socksPort, origin.port)
  const times = /** @type {number[]} */ ([])
  socket.write(Buffer.alloc(64, 'E'))
  // what says that it is for echoes does not come back
  await sleep(200)
  for (let index = 0; index < count; index += 1) {
    const began = performance.now()
    socket.write(Buffer.alloc(64, 'x'))
    await read(socket, 64)
    times.push(performance.now() - began)
    await sleep(10)
  }
  socket.destroy()
  return times.sort((a, b) => a - b)
}

const median = (/** @type {readonly number[]} */ values) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

/** What another token of the same provider has while one is held to its rate with a download that wants more, and without it. */
async function measureOthers() {
  const providers = [
    { name: 'stream control', provide: provider },
    ...(hasDeployed ? [{ name: 'deployed provider', provide: oldProvider }] : []),
  ]
  console.log(`\nanother token of the same provider, beside one that is held to this rate; medians of ${TURNS}\n`)
  console.log('| provider | beside it | download, MB/s | echo p50 | p99 |\n|---|---|---|---|---|')
  for (const { name, provide } of providers) {
    const { token } = await server.addToken({ type: 'reverse' })
    const add = async (/** @type {object} */ more) =>
      (await server.addToken({ type: 'connector', reverseToken: token, ...more })).token
    const [slow, free] = [await add({ policy: policyOf('down') }), await add({})]
    await provide(token)
    const ways = { slow: await connector(slow), free: await connector(free) }
    const seen = [await othersHave(ways, false), await othersHave(ways, true)].map(() => /** @type {Have[]} */ ([]))
    for (let turn = 0; turn < 2 * TURNS; turn += 1) seen[turn % 2]?.push(await othersHave(ways, turn % 2 === 1))
    for (const [index, all] of seen.entries()) {
      const rate = median(all.map((one) => one.rate)).toFixed(0)
      const [p50, p99] = [median(all.map((one) => one.p50)).toFixed(1), median(all.map((one) => one.p99)).toFixed(1)]
      console.log(`| ${name} | ${index === 1 ? 'a limited download' : 'nothing'} | ${rate} | ${p50} ms | ${p99} ms |`)
    }
  }
}

/** @typedef {{ rate: number, p50: number, p99: number }} Have */

/** @param {{ slow: { port: number }, free: { port: number } }} ways @param {boolean} limited @returns {Promise<Have>} */
async function othersHave({ slow, free }, limited) {
  const wanted = { direction: /** @type {const} */ ('down'), streams: 1 }
  const held = limited ? move({ ...slow, close: () => {} }, origin, { ...wanted, name: 'limited-' }) : undefined
  await sleep(2_000)
  const times = await echoes(free.port, 100)
  const bulk = move({ ...free, close: () => {} }, origin, { ...wanted, name: 'others--' })
  await sleep(500)
  const before = bulk.moved()
  await sleep(OTHERS_MS)
  const rate = (bulk.moved() - before) / OTHERS_MS / 1_000
  bulk.end()
  held?.end()
  await sleep(500)
  return { rate, p50: times[times.length >> 1] ?? 0, p99: times[Math.floor(0.99 * times.length)] ?? 0 }
}

try {
  if (!hasDeployed) console.log('without deployed programs: run test/interop/install.sh\n')
  await measureRates()
  await measureOthers()
} finally {
  for (const end of ends.reverse()) await end()
}
process.exit(0)
