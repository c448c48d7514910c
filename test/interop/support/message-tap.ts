import { connect, type Socket } from 'node:net'
import type { Scene } from '../../support/e2e/scene.js'
import { tcpTarget } from '../../support/e2e/targets.js'

/** A Data message that passed: what its head says. */
export interface TappedData {
  readonly from: 'client' | 'server'
  /** 0 none, 1 gzip. */
  readonly compression: number
  /** DataLen: bytes as they were sent, so compressed ones. */
  readonly length: number
}

/** Version, Type, Protocol, ChannelID, Compression, DataLen of a Data message. */
const HEAD_BYTES = 24
const DATA = 4
const END_OF_HTTP_HEAD = Buffer.from('\r\n\r\n')
/** Opcode of the first frame of a binary message. */
const BINARY = 2

/** Passes WebSockets on to a port, byte for byte, and tells of their Data messages; gives its URL for clients. */
export async function tap(scene: Scene, serverPort: number, onData: (data: TappedData) => void): Promise<string> {
  const port = await tcpTarget(scene, (client) => {
    const server = connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true })
    server.on('error', () => {})
    passOn(client, server, new HeadReader((head) => tell(head, 'client', onData)))
    passOn(server, client, new HeadReader((head) => tell(head, 'server', onData)))
  })
  return `ws://127.0.0.1:${port}`
}

function passOn(from: Socket, to: Socket, reader: HeadReader): void {
  from.on('data', (chunk: Buffer) => reader.push(chunk))
  from.pipe(to)
  from.on('close', () => to.destroy())
}

function tell(head: Buffer, from: TappedData['from'], onData: (data: TappedData) => void): void {
  if (head.length < HEAD_BYTES || head[1] !== DATA) return
  onData({ from, compression: head[19] ?? 0, length: head.readUInt32BE(20) })
}

/** Finds the first bytes of each message in one direction of a WebSocket connection (RFC 6455 section 5.2). */
class HeadReader {
  readonly #onHead: (head: Buffer) => void
  #upgraded = false
  /** Bytes of something that is not whole yet: the HTTP header, or a frame's header and what of its payload is wanted. */
  #rest = Buffer.alloc(0)
  /** Bytes of the current frame's payload still to come and of no interest. */
  #skip = 0

  constructor(onHead: (head: Buffer) => void) {
    this.#onHead = onHead
  }

  push(chunk: Buffer): void {
    const skipped = Math.min(this.#skip, chunk.length)
    this.#skip -= skipped
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(skipped)])
    if (!this.#upgraded) {
      const end = this.#rest.indexOf(END_OF_HTTP_HEAD)
      if (end === -1) return
      this.#upgraded = true
      this.#rest = this.#rest.subarray(end + END_OF_HTTP_HEAD.length)
    }
    while (this.#skip === 0 && this.#takeFrame()) {}
  }

  /** Takes one frame off the front. @returns false when its head isn't there yet */
  #takeFrame(): boolean {
    const bytes = this.#rest
    const [first = 0, second = 0] = bytes
    const short = second & 0x7f
    const masked = second >= 0x80
    const start = 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + (masked ? 4 : 0)
    if (bytes.length < 2 || bytes.length < start) return false
    const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
    const wanted = Math.min(length, HEAD_BYTES)
    if (bytes.length < start + wanted) return false
    const mask = masked ? bytes.subarray(start - 4, start) : Buffer.alloc(4)
    const head = Buffer.from(bytes.subarray(start, start + wanted).map((byte, at) => byte ^ (mask[at & 3] ?? 0)))
    if ((first & 15) === BINARY) this.#onHead(head)
    this.#rest = bytes.subarray(start + length)
    this.#skip = Math.max(0, start + length - bytes.length)
    return true
  }
}
