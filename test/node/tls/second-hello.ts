import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
} from 'node:crypto'
import type { Socket } from 'node:net'
import { tcp } from './acceptor-fixture.js'
import { extension, handshake, helloWith, inRecords } from './hellos.js'

/*
 * As much of TLS 1.3 (RFC 8446) as it takes to send a second ClientHello that differs from the first one, which no library does:
 * TLS_AES_128_GCM_SHA256 and X25519, certificates unseen.
 */

const HASH_BYTES = 32
const X25519 = Buffer.of(0, 0x1d)
/** supported_versions, supported_groups, signature_algorithms. */
const COMMON = [
  extension(43, Buffer.of(2, 3, 4)),
  extension(10, Buffer.concat([Buffer.of(0, 2), X25519])),
  extension(13, Buffer.of(0, 4, 4, 3, 8, 4)),
]
const CHANGE_CIPHER_SPEC = 0x14
const HANDSHAKE = 0x16
const APPLICATION_DATA = 0x17
const FINISHED = 20
/** SubjectPublicKeyInfo of X25519, before the key (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()
const hmac = (key: Uint8Array, bytes: Uint8Array): Buffer => createHmac('sha256', key).update(bytes).digest()

/** HKDF-Expand-Label (section 7.1), of one block. */
function expand(secret: Uint8Array, label: string, context: Uint8Array, bytes = HASH_BYTES): Buffer {
  const name = Buffer.from(`tls13 ${label}`)
  const info = [Buffer.of(bytes >> 8, bytes & 0xff, name.byteLength), name, Buffer.of(context.byteLength), context]
  return hmac(secret, Buffer.concat([...info, Buffer.of(1)])).subarray(0, bytes)
}

/** One direction of a connection, encrypted (section 5.2). */
class Protection {
  readonly #key: Buffer
  readonly #iv: Buffer
  #sequence = 0

  constructor(secret: Uint8Array) {
    this.#key = expand(secret, 'key', Buffer.alloc(0), 16)
    this.#iv = expand(secret, 'iv', Buffer.alloc(0), 12)
  }

  seal(content: Uint8Array, type: number): Buffer {
    const inner = Buffer.concat([content, Buffer.of(type)])
    const header = Buffer.of(APPLICATION_DATA, 3, 3, (inner.byteLength + 16) >> 8, (inner.byteLength + 16) & 0xff)
    const cipher = createCipheriv('aes-128-gcm', this.#key, this.#nonce()).setAAD(header)
    return Buffer.concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()])
  }

  open(header: Uint8Array, body: Buffer): { readonly type: number; readonly content: Buffer } {
    const cipher = createDecipheriv('aes-128-gcm', this.#key, this.#nonce()).setAAD(header)
    cipher.setAuthTag(body.subarray(-16))
    const inner = Buffer.concat([cipher.update(body.subarray(0, -16)), cipher.final()])
    return { type: inner.at(-1) as number, content: inner.subarray(0, -1) }
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv)
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence) >>> 0, 8)
    this.#sequence += 1
    return nonce
  }
}

interface TlsRecord {
  readonly header: Buffer
  readonly body: Buffer
}

/** Without those that are there for old proxies alone (section 5). */
async function* recordsOf(socket: Socket): AsyncGenerator<TlsRecord, undefined> {
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk])
    while (bytes.byteLength >= 5 && bytes.byteLength >= 5 + bytes.readUInt16BE(3)) {
      const end = 5 + bytes.readUInt16BE(3)
      const found = { header: bytes.subarray(0, 5), body: bytes.subarray(5, end) }
      bytes = bytes.subarray(end)
      if (found.header[0] !== CHANGE_CIPHER_SPEC) yield found
    }
  }
}

/** Whether the server's part of the handshake is whole. */
function hasFinished(flight: Buffer): boolean {
  for (let at = 0; at + 4 <= flight.byteLength; at += 4 + flight.readUIntBE(at + 1, 3)) {
    if (flight[at] === FINISHED) return at + 4 + HASH_BYTES <= flight.byteLength
  }
  return false
}

/**
 * Begins TLS with the extensions `first`, is asked again, and then shows `second` in their place; sends `text` when the handshake is done.
 * @returns what came inside, until the connection ended
 */
export async function secondHello(
  port: number,
  { first, second, text }: { first: readonly Uint8Array[]; second: readonly Uint8Array[]; text: string },
): Promise<string> {
  const socket = await tcp(port)
  const records = recordsOf(socket)
  const next = async (): Promise<TlsRecord | undefined> => (await records.next()).value ?? undefined
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  const share = publicKey.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.byteLength)
  // none is offered: the server names the group that it wants
  const before = helloWith([...COMMON, extension(51, Buffer.of(0, 0)), ...first])
  socket.write(inRecords(before))
  const retry = (await next())?.body ?? Buffer.alloc(0)
  const shares = extension(51, Buffer.concat([Buffer.of(0, 36), X25519, Buffer.of(0, 32), share]))
  const after = helloWith([...COMMON, shares, ...second])
  socket.write(inRecords(after))
  const hello = (await next())?.body ?? Buffer.alloc(0)
  // section 4.4.1: the first hello counts as its hash
  let transcript = Buffer.concat([handshake(sha256(before), 254), retry, after, hello])
  const at = hello.indexOf(Buffer.concat([Buffer.of(0, 36), X25519, Buffer.of(0, 32)])) + 6
  const theirs = createPublicKey({
    ...{ key: Buffer.concat([SPKI_PREFIX, hello.subarray(at, at + 32)]), format: 'der', type: 'spki' },
  })
  const none = Buffer.alloc(HASH_BYTES)
  const early = expand(hmac(none, none), 'derived', sha256(Buffer.alloc(0)))
  const shared = hmac(early, diffieHellman({ privateKey, publicKey: theirs }))
  const [ours, served] = ['c', 's'].map((end) => expand(shared, `${end} hs traffic`, sha256(transcript))) as [
    Buffer,
    Buffer,
  ]
  const reading = new Protection(served)
  for (let flight = Buffer.alloc(0); !hasFinished(flight); ) {
    const { header, body } = (await next()) ?? {}
    if (header === undefined || body === undefined) return ''
    const { content } = reading.open(header, body)
    flight = Buffer.concat([flight, content])
    transcript = Buffer.concat([transcript, content])
  }
  const main = hmac(expand(shared, 'derived', sha256(Buffer.alloc(0))), none)
  const [sending, receiving] = ['c', 's'].map(
    (end) => new Protection(expand(main, `${end} ap traffic`, sha256(transcript))),
  ) as [Protection, Protection]
  const verified = hmac(expand(ours, 'finished', Buffer.alloc(0)), sha256(transcript))
  socket.write(new Protection(ours).seal(handshake(verified, FINISHED), HANDSHAKE))
  socket.write(sending.seal(Buffer.from(text), APPLICATION_DATA))
  let answer = ''
  for (let came = await next(); came !== undefined; came = await next()) {
    const { type, content } = receiving.open(came.header, came.body)
    if (type === APPLICATION_DATA) answer += content
  }
  return answer
}
