// The same as native/common.c, in Node: pattern, arguments, the way through a SOCKS5 port.
import { connect } from 'node:net'

export const CHUNK = 262_144
export const REQUEST = 13
export const CONFIRMATION = 24
const PERIOD = 65_521
const BODY = '0123456789abcdef'.repeat(4)
export const HTTP_ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\nConnection: close\r\n\r\n${BODY}`,
)
export const HTTP_REQUEST = 'GET / HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n'

const pattern = Buffer.alloc(PERIOD + CHUNK)
let x = 2_463_534_242
for (let i = 0; i < PERIOD; i++) {
  x ^= x << 13
  x ^= x >>> 17
  x ^= x << 5
  pattern[i] = x
}
for (let i = PERIOD; i < pattern.length; i++) pattern[i] = pattern[i - PERIOD] ?? 0

/** `length` bytes of the pattern, at most CHUNK of them. */
export function patternAt(/** @type {number} */ offset, /** @type {number} */ length) {
  const from = offset % PERIOD
  return pattern.subarray(from, from + length)
}

/**
 * Compares both ends of a piece, or all of it.
 *
 * @returns {boolean}
 */
export function patternHolds(
  /** @type {Buffer} */ bytes,
  /** @type {number} */ offset,
  /** @type {boolean} */ whole = false,
) {
  const end = Math.max(0, bytes.length - 64)
  if (bytes.length > CHUNK) {
    return (
      patternHolds(bytes.subarray(0, CHUNK), offset, whole) &&
      patternHolds(bytes.subarray(CHUNK), offset + CHUNK, whole)
    )
  }
  if (whole) return bytes.equals(patternAt(offset, bytes.length))
  const head = bytes.subarray(0, 64)
  return (
    head.equals(patternAt(offset, head.length)) &&
    bytes.subarray(end).equals(patternAt(offset + end, bytes.length - end))
  )
}

/** The arguments `name=value` of the command line. */
export const numbers = Object.fromEntries(
  process.argv
    .filter((arg) => /^\w+=\d+$/.test(arg))
    .map((arg) => arg.split('='))
    .map(([name, value]) => [name, Number(value)]),
)

export function bulkRequest(/** @type {'D' | 'U'} */ kind, /** @type {number} */ length, /** @type {number} */ phase) {
  const request = Buffer.alloc(REQUEST)
  request.write(kind)
  request.writeBigUInt64LE(BigInt(length), 1)
  request.writeUInt32LE(phase, 9)
  return request
}

/** Reads exactly so many bytes of a socket that is not flowing; what came with them stays in it. */
export async function receive(/** @type {import('node:net').Socket} */ socket, /** @type {number} */ length) {
  /** @type {Buffer[]} */
  const parts = []
  for (let got = 0; got < length; ) {
    const bytes = socket.read()
    if (bytes !== null) {
      parts.push(bytes)
      got += bytes.length
    } else if (socket.readableEnded || socket.destroyed) throw new Error('closed too early')
    else await readable(socket)
  }
  const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
  if (all.length > length) socket.unshift(all.subarray(length))
  return all.subarray(0, length)
}

/** Waits until there is something to read, or never will be. */
function readable(/** @type {import('node:net').Socket} */ socket) {
  return new Promise((/** @type {(value: void) => void} */ resolve) => {
    const events = ['readable', 'end', 'close']
    const settle = () => {
      for (const event of events) socket.off(event, settle)
      resolve()
    }
    for (const event of events) socket.once(event, settle)
  })
}

/** Reads the answer one byte at a time: what is behind it is the origin's. */
async function connectByHttp(/** @type {import('node:net').Socket} */ socket, /** @type {number} */ origin) {
  socket.write(`CONNECT 127.0.0.1:${origin} HTTP/1.1\r\nHost: 127.0.0.1:${origin}\r\n\r\n`)
  let answer = ''
  while (!answer.endsWith('\r\n\r\n')) answer += (await receive(socket, 1)).toString('latin1')
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`CONNECT answered ${answer.slice(0, 80)}`)
}

/** A connection to the origin, made ready. */
export async function openRoute() {
  const { port = 0, origin = 0, http = 0 } = numbers
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  await new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })
  if (origin === 0) return socket
  if (http !== 0) {
    await connectByHttp(socket, origin)
    return socket
  }
  socket.write(Buffer.of(5, 1, 0))
  const [, method] = await receive(socket, 2)
  if (method !== 0) throw new Error(`SOCKS5 method ${method}`)
  socket.write(Buffer.of(5, 1, 0, 1, 127, 0, 0, 1, origin >> 8, origin & 255))
  const [, reply, , type, first = 0] = await receive(socket, 5)
  if (reply !== 0) throw new Error(`SOCKS5 reply ${reply}`)
  await receive(socket, type === 1 ? 5 : type === 4 ? 17 : first + 2)
  return socket
}

export function shareOf(/** @type {readonly number[]} */ sorted, /** @type {number} */ share) {
  return sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)] ?? 0
}

export const ascending = (/** @type {readonly number[]} */ values) => [...values].sort((a, b) => a - b)
