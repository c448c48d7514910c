// What the soak sends through its channels, and the destination that answers.
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  BULK,
  began,
  CHANNEL_MS,
  endAt,
  fail,
  MB,
  minutes,
  random,
  seconds,
  sha256,
  TRANSFER_SHARE,
  total,
  upTo,
  wanted,
} from './plan.mjs'
import { listen, Program } from './programs.mjs'
import { Reader } from './reader.mjs'

export const block = randomFillSync(Buffer.alloc(BULK))

/** A block of the long content; no two of them are the same. */
function contentBlock(index) {
  const bytes = Buffer.from(block.subarray(0, MB))
  bytes.writeUInt32BE(index)
  return bytes
}

function contentDigest(length) {
  const hash = createHash('sha256')
  for (let index = 0; index < length / MB; index++) hash.update(contentBlock(index))
  return hash.digest('hex')
}

/** Writes the long content, at `rate` bytes a second. */
async function writeContent(socket, length, rate) {
  const start = performance.now()
  for (let index = 0; index < length / MB && !socket.destroyed; index++) {
    if (!socket.write(contentBlock(index)))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {})
    const early = start + (index * MB * 1_000) / rate - performance.now()
    if (early > 5) await sleep(early)
  }
}

/** The destination of every channel: the first byte says what is wanted. */
const serve = {
  e: async (socket, reader) => {
    socket.write(await reader.take(32))
    await reader.rest()
    socket.end()
  },
  h: async (socket, reader) => socket.end(await reader.rest()),
  b: async (socket) => socket.end(block),
  d: async (socket) => {
    await writeContent(socket, wanted.transferBytes, rate)
    socket.end()
  },
  u: async (socket, reader) => socket.end(await reader.digest(wanted.transferBytes)),
}
const rate = wanted.transferBytes / (minutes * 60 * TRANSFER_SHARE)
export const open = new Set()

export async function startTarget() {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    const reader = new Reader(socket)
    const run = async () => serve[(await reader.take(1)).toString()](socket, reader)
    run().catch((error) => {
      if (!Program.ending) fail(`destination: ${error.message}`)
      socket.destroy()
    })
  })
  return await listen(server)
}

export async function dial(socksPort, port) {
  const socket = connect({ port: socksPort, host: '127.0.0.1', allowHalfOpen: true })
  const reader = new Reader(socket)
  socket.write(Buffer.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255))
  const reply = await reader.take(12)
  if (reply[3] !== 0) {
    socket.destroy()
    total.refused += 1
    throw new Error(`SOCKS reply ${reply[3]}`)
  }
  return { socket, reader }
}

const blockDigest = sha256(block)
export const use = {
  e: async ({ socket, reader }) => {
    const text = block.subarray(upTo(BULK - 32)).subarray(0, 32)
    socket.write(Buffer.concat([Buffer.from('e'), text]))
    if (!(await reader.take(32)).equals(text)) throw new Error('another echo')
    socket.end()
    await reader.rest()
  },
  h: async ({ socket, reader }) => {
    const text = block.subarray(0, upTo(200_000))
    socket.write('h')
    socket.end(text)
    if ((await reader.take(64)).toString() !== sha256(text)) throw new Error('another digest behind a half-close')
    await reader.rest()
  },
  b: async ({ socket, reader }) => {
    socket.write('b')
    if ((await reader.digest(BULK)) !== blockDigest) throw new Error('another digest of bulk')
    await reader.rest()
    socket.end()
  },
}

export async function oneChannel(socksPort, target) {
  const choice = random()
  const kind = choice < 0.005 ? 'b' : choice < 0.1 ? 'h' : 'e'
  const since = performance.now()
  let socket
  const run = async () => {
    const channel = await dial(socksPort, target)
    socket = channel.socket
    await use[kind](channel)
  }
  const late = new AbortController()
  const limit = sleep(CHANNEL_MS, undefined, { signal: late.signal }).then(() =>
    Promise.reject(new Error('still not over')),
  )
  try {
    await Promise.race([run(), limit])
    total.channels += 1
  } catch (error) {
    fail(`channel '${kind}' after ${seconds(since)} s: ${error.message}`)
    socket?.destroy()
  } finally {
    late.abort()
    limit.catch(() => {})
  }
}

/** Channels one after the other, no faster than planned. */
export async function worker(ports, target, stopped) {
  while (!stopped()) {
    const planned = began + (total.channels / wanted.channels) * (endAt - began)
    if (planned > performance.now()) await sleep(planned - performance.now() + 5)
    await oneChannel(ports[upTo(ports.length)], target)
  }
}

export async function transfer(name, socksPort, target, direction, cutsOf) {
  const since = performance.now()
  const before = cutsOf()
  const expected = contentDigest(wanted.transferBytes)
  try {
    const { socket, reader } = await dial(socksPort, target)
    socket.write(direction === 'download' ? 'd' : 'u')
    if (direction === 'upload') await writeContent(socket, wanted.transferBytes, rate)
    const digest =
      direction === 'download' ? await reader.digest(wanted.transferBytes) : (await reader.take(64)).toString()
    await reader.rest()
    socket.end()
    if (digest !== expected) throw new Error('the digest differs')
    const size = wanted.transferBytes / MB
    console.log(
      `${name} ${direction} of ${size} MB: whole after ${cutsOf() - before} cuts of its links, ${seconds(since)} s`,
    )
  } catch (error) {
    fail(`${name} ${direction} after ${seconds(since)} s and ${cutsOf() - before} cuts: ${error.message}`)
  }
}
