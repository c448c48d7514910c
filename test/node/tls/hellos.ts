import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'
import { KIB } from '../../../src/protocol/limits.js'

const RECORD_HEADER_BYTES = 5

/** The records that Node's client begins a connection with. */
export async function clientHello(options: ConnectionOptions = {}): Promise<Buffer> {
  const sent: Buffer[] = []
  const line = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      sent.push(chunk)
      line.emit('sent')
      done()
    },
  })
  const socket = connect({ socket: line, ...options }).on('error', () => {})
  if (sent.length === 0) await once(line, 'sent')
  socket.destroy()
  return Buffer.concat(sent)
}

/** What lies in records: for those of one connection's beginning, its handshake messages. */
export function unwrapped(records: Uint8Array): Buffer {
  const bytes = Buffer.from(records)
  const contents: Buffer[] = []
  for (let at = 0; at < bytes.byteLength; ) {
    const end = at + RECORD_HEADER_BYTES + bytes.readUInt16BE(at + 3)
    contents.push(bytes.subarray(at + RECORD_HEADER_BYTES, end))
    at = end
  }
  return Buffer.concat(contents)
}

/** Handshake messages in records of so many bytes. */
export function inRecords(message: Uint8Array, bytes = 16 * KIB): Buffer {
  const records: Buffer[] = []
  for (let at = 0; at < message.byteLength; at += bytes) records.push(record(message.subarray(at, at + bytes)))
  return Buffer.concat(records)
}

/** One record of a handshake, or of another type. */
export function record(content: Uint8Array, type = 0x16): Buffer {
  return Buffer.concat([Buffer.of(type, 3, 1, content.byteLength >> 8, content.byteLength & 0xff), content])
}

const vector = (lengthBytes: 1 | 2, ...content: readonly Uint8Array[]): Buffer => {
  const whole = Buffer.concat(content)
  const length = Buffer.alloc(lengthBytes)
  length.writeUIntBE(whole.byteLength, 0, lengthBytes)
  return Buffer.concat([length, whole])
}

export const extension = (type: number, content: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(type >> 8, type & 0xff), vector(2, content)])

/** Server names, each with its type (RFC 6066 section 3). */
export const serverNames = (...names: readonly (readonly [type: number, name: string | Uint8Array])[]): Buffer => {
  const entries = names.map(([type, name]) => Buffer.concat([Buffer.of(type), vector(2, Buffer.from(name as string))]))
  return extension(0, vector(2, ...entries))
}

export const alpn = (...protocols: readonly string[]): Buffer =>
  extension(16, vector(2, ...protocols.map((name) => vector(1, Buffer.from(name, 'latin1')))))

/** A ClientHello with these extensions, as a handshake message; `undefined`: it ends before them (RFC 5246 section 7.4.1.2). */
export function helloWith(extensions: readonly Uint8Array[] | undefined): Buffer {
  const parts = [Buffer.of(3, 3), randomBytes(32), vector(1), vector(2, Buffer.of(0x13, 1)), vector(1, Buffer.of(0))]
  return handshake(Buffer.concat([...parts, ...(extensions === undefined ? [] : [vector(2, ...extensions)])]))
}

export function handshake(body: Uint8Array, type = 1): Buffer {
  const length = body.byteLength
  return Buffer.concat([Buffer.of(type, length >> 16, (length >> 8) & 0xff, length & 0xff), body])
}
