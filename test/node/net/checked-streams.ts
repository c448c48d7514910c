import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { pattern } from '../../contract/pattern.js'
import { atEnd } from '../../support/at-end.js'
import { socksRequest, tcpServer } from '../library-fixture.js'

/** Sizes that take every way there is: copied, joined, handed on; several in a row that are small behind a large one. */
const PIECES = [5_000, 900, 900, 900, 900, 900, 900, 1, 4_090, 60_000, 3, 16_000, 700, 30_000]
const HOST = '127.0.0.1'
/** Four bytes each: seed and length of the answer. */
const HEAD_BYTES = 8
const DIGEST_BYTES = 64

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Whichever comes first; unlike once() it takes no error for its own. */
const eitherOf = (socket: Socket, ...events: readonly string[]): Promise<void> =>
  new Promise((resolve) => {
    for (const event of events) socket.once(event, () => resolve())
  })

/** Writes in pieces of many sizes, each on its own, as fast as they are taken. */
async function trickle(socket: Socket, bytes: Uint8Array): Promise<void> {
  let at = 0
  for (let i = 0; at < bytes.byteLength && !socket.destroyed; i += 1) {
    const piece = bytes.subarray(at, at + (PIECES[i % PIECES.length] ?? 1))
    at += piece.byteLength
    if (!socket.write(piece)) await eitherOf(socket, 'drain', 'close')
    // most of them reach the far end as pieces of their own
    await (i % 4 === 0 ? sleep(1) : new Promise((resolve) => setImmediate(resolve)))
  }
}

/** Sends what its client asks for, and at the client's end the digest of what the client sent. */
export function checkingTarget(): Promise<number> {
  return tcpServer((socket) => {
    socket.setNoDelay()
    const received = createHash('sha256')
    let head = Buffer.alloc(0)
    let answering: Promise<void> | undefined
    socket.on('data', (chunk: Buffer) => {
      received.update(chunk)
      if (answering !== undefined) return
      head = Buffer.concat([head, chunk])
      if (head.byteLength >= HEAD_BYTES) {
        answering = trickle(socket, pattern(head.readUInt32BE(4), head.readUInt32BE(0)))
      }
    })
    socket.on('end', () => void (answering ?? Promise.resolve()).then(() => socket.end(received.digest('hex'))))
  })
}

export interface Exchange {
  readonly socksPort: number
  readonly targetPort: number
  readonly seed: number
  readonly upBytes: number
  readonly downBytes: number
  /** Stops reading now and then. */
  readonly slow?: boolean
  /** Resets the connection when so much has come. */
  readonly abortAfter?: number
}

/** One stream through a SOCKS port, both ways at once. @returns what was wrong with it */
export async function checkStream(exchange: Exchange): Promise<string | undefined> {
  const { socksPort, targetPort, seed, upBytes, downBytes, slow = false, abortAfter } = exchange
  const { socket, rep } = await socksRequest(socksPort, { host: HOST, port: targetPort })
  if (rep !== 0) return `stream ${seed}: SOCKS reply ${rep}`
  socket.setNoDelay()
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32BE(seed, 0)
  head.writeUInt32BE(downBytes, 4)
  const up = Buffer.concat([head, pattern(upBytes, seed + 1)])
  const sending = trickle(socket, up).then(() => void socket.end())
  const down = await readAll(socket, slow, abortAfter)
  if (abortAfter !== undefined) return undefined
  await sending
  const [body, digest] = [down.subarray(0, downBytes), down.subarray(downBytes).toString()]
  if (digestOf(body) !== digestOf(pattern(downBytes, seed))) return `stream ${seed}: ${differenceIn(body, seed)} came`
  if (digest !== digestOf(up))
    return `stream ${seed}: other bytes arrived than were sent (${digest.slice(0, DIGEST_BYTES)})`
  return undefined
}

function differenceIn(body: Uint8Array, seed: number): string {
  const right = pattern(body.byteLength, seed)
  const at = body.findIndex((byte, i) => byte !== right[i])
  return at < 0 ? `${body.byteLength} bytes` : `other bytes from ${at} on (${body[at]?.toString(16)})`
}

async function readAll(socket: Socket, slow: boolean, abortAfter = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.byteLength
    if (bytes >= abortAfter) socket.resetAndDestroy()
    if (!slow) return
    socket.pause()
    setTimeout(() => socket.resume(), 5)
  })
  await eitherOf(socket, 'end', 'close')
  return Buffer.concat(chunks)
}

/** A port that leads to `port` over a line that stands still most of the time, so that queues build up before it. */
export async function haltingLine(port: number, { stillMs = 60, bytes = 300_000 } = {}): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, HOST)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {}).on('close', () => to.destroy())
      let passed = 0
      from.on('data', (chunk) => {
        to.write(chunk)
        passed += chunk.length
        if (passed < bytes) return
        passed = 0
        from.pause()
        setTimeout(() => from.resume(), stillMs)
      })
      from.on('end', () => to.end())
    }
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  atEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
