import { KIB } from '../../protocol/limits.js'

/** First byte of a TLS record that belongs to a handshake (RFC 8446 section 5.1). */
export const TLS_HANDSHAKE = 0x16
/** Bytes of records that are looked through for a ClientHello; one that is longer is left to TLS itself. */
export const MAX_HELLO_BYTES = 64 * KIB
/** Records that one may lie in; they have room for 16 KiB each, and no client uses more than a few. */
export const MAX_HELLO_RECORDS = 128

const RECORD_HEADER_BYTES = 5
const HANDSHAKE_HEADER_BYTES = 4
const CLIENT_HELLO = 1
const VERSION_AND_RANDOM_BYTES = 34
/** RFC 6066 section 3. */
const SERVER_NAME = 0
const HOST_NAME = 0
/** RFC 7301 section 3.1. */
const PROTOCOL_NAMES = 16
const HOST = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/

/** What a client asks for before anything is encrypted. */
export interface ClientHello {
  /** In lower case; `undefined` where there is none, or none that is a host name. */
  readonly serverName: string | undefined
  /** Of ALPN. */
  readonly protocols: readonly string[]
}

const NOTHING_ASKED: ClientHello = { serverName: undefined, protocols: [] }

/**
 * Reads which name and protocols a ClientHello asks for (RFC 8446 section 4.1.2), to choose a certificate by. What is malformed
 * asks for nothing: it is TLS that refuses it.
 * @param bytes what came so far, from the first byte of the connection on
 * @returns while the ClientHello is not whole, how many bytes have to be there before it is worth while to look again
 */
export function readClientHello(bytes: Uint8Array): ClientHello | number {
  const message = handshakeMessage(bytes.subarray(0, MAX_HELLO_BYTES))
  if (typeof message === 'number') return message > MAX_HELLO_BYTES ? NOTHING_ASKED : message
  if (message === 'malformed') return NOTHING_ASKED
  try {
    return askedIn(new Fields(message))
  } catch {
    return NOTHING_ASKED
  }
}

/** The first message of the handshake, which may lie in several records; while its end is missing, up to where its next record goes. */
function handshakeMessage(bytes: Uint8Array): Uint8Array | 'malformed' | number {
  const pieces: Uint8Array[] = []
  let wanted = HANDSHAKE_HEADER_BYTES
  let there = 0
  for (let at = 0; there < wanted; ) {
    if (pieces.length === MAX_HELLO_RECORDS) return 'malformed'
    const content = at + RECORD_HEADER_BYTES
    if (bytes.byteLength < content) return content
    const length = ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number)
    if (bytes[at] !== TLS_HANDSHAKE || length === 0) return 'malformed'
    const piece = bytes.subarray(content, content + length)
    pieces.push(piece)
    there += piece.byteLength
    if (there >= HANDSHAKE_HEADER_BYTES && wanted === HANDSHAKE_HEADER_BYTES) {
      const [type, high, middle, low] = Buffer.concat(pieces)
      if (type !== CLIENT_HELLO) return 'malformed'
      wanted += ((high as number) << 16) | ((middle as number) << 8) | (low as number)
    }
    if (piece.byteLength < length && there < wanted)
      return content + Math.min(length, piece.byteLength + wanted - there)
    at = content + length
  }
  return Buffer.concat(pieces).subarray(HANDSHAKE_HEADER_BYTES, wanted)
}

/** Reads what has its length before it. */
class Fields {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.byteLength - this.#at
  }

  /** @throws {RangeError} there is less */
  take(count: number): Uint8Array {
    if (count > this.left) throw new RangeError('too short')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  number(bytes: 1 | 2): number {
    return this.take(bytes).reduce((value, byte) => value * 256 + byte, 0)
  }

  vector(lengthBytes: 1 | 2): Fields {
    return new Fields(this.take(this.number(lengthBytes)))
  }

  text(lengthBytes: 1 | 2): string {
    return Buffer.from(this.take(this.number(lengthBytes))).toString('latin1')
  }
}

function askedIn(hello: Fields): ClientHello {
  hello.take(VERSION_AND_RANDOM_BYTES)
  // session, cipher suites, compression
  for (const lengthBytes of [1, 2, 1] as const) hello.vector(lengthBytes)
  let serverName: string | undefined
  let protocols: readonly string[] = []
  const extensions = hello.left === 0 ? new Fields(new Uint8Array()) : hello.vector(2)
  while (extensions.left > 0) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type === SERVER_NAME) serverName = nameIn(content.vector(2))
    if (type === PROTOCOL_NAMES) protocols = protocolsIn(content.vector(2))
  }
  return { serverName, protocols }
}

function nameIn(names: Fields): string | undefined {
  while (names.left > 0) {
    const type = names.number(1)
    const name = names.text(2).toLowerCase()
    if (type === HOST_NAME) return HOST.test(name) ? name : undefined
  }
  return undefined
}

function protocolsIn(list: Fields): readonly string[] {
  const protocols: string[] = []
  while (list.left > 0) protocols.push(list.text(1))
  return protocols
}
