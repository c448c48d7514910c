// The messages of docs/protocol.md part A, written from that text and from captures; shares nothing with the program.
import { randomBytes } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'

export const VERSION = 0x01
/** What release 1.10 of the deployed program writes into every message. */
export const NEWER_VERSION = 0x02
const TCP = 1
export const UDP = 2

const CODES = {
  auth: 1,
  authResponse: 2,
  connect: 3,
  data: 4,
  connectResponse: 5,
  disconnect: 6,
  connector: 7,
  connectorResponse: 8,
  log: 9,
  partners: 10,
} as const

export type Kind = keyof typeof CODES

export interface Place {
  readonly host: string
  readonly port: number
}

/** A message as it was read. Fields that its kind doesn't have are empty. */
export interface Message {
  readonly raw: Buffer
  readonly version: number
  /** `undefined` for types that this peer doesn't know. */
  readonly kind: Kind | undefined
  /** Channel or request id, in hex. */
  readonly id: string
  /** Connect, Data: tcp or udp. */
  readonly protocol: number
  readonly success: boolean
  readonly error: string | undefined
  readonly compression: number
  /** Inflated. */
  readonly data: Buffer
  /** Connect: the destination. Data (udp): Address and Port. */
  readonly place: Place
  /** Data (udp): TargetAddress and TargetPort. */
  readonly target: Place
  readonly token: string | undefined
  readonly reverse: boolean
  readonly json: unknown
}

const NOWHERE: Place = { host: '', port: 0 }

class Reader {
  readonly #raw: Buffer
  offset = 2

  constructor(raw: Buffer) {
    this.#raw = raw
  }

  u8(): number {
    this.offset += 1
    return this.#raw.readUInt8(this.offset - 1)
  }

  bytes(length: number): Buffer {
    this.offset += length
    if (this.offset > this.#raw.length) throw new RangeError('the message is too short')
    return this.#raw.subarray(this.offset - length, this.offset)
  }

  uuid(): string {
    return this.bytes(16).toString('hex')
  }

  str8(): string {
    return this.bytes(this.u8()).toString()
  }

  optionalStr8(): string | undefined {
    return this.offset < this.#raw.length ? this.str8() : undefined
  }

  block(): Buffer {
    return this.bytes(this.bytes(4).readUInt32BE())
  }

  place(): Place {
    return { host: this.str8(), port: this.bytes(2).readUInt16BE() }
  }
}

type Fields = Partial<Omit<Message, 'raw' | 'version' | 'kind'>>

const READ: Record<Kind, (reader: Reader) => Fields> = {
  auth: (r) => ({ token: r.str8(), reverse: r.u8() === 1, id: r.uuid() }),
  authResponse: (r) => (r.u8() === 1 ? { success: true, token: r.optionalStr8() } : { error: r.str8() }),
  connect: (r) => {
    const head = { protocol: r.u8(), id: r.uuid() }
    return head.protocol === TCP ? { ...head, place: r.place() } : head
  },
  data: (r) => {
    const head = { protocol: r.u8(), id: r.uuid(), compression: r.u8() }
    const block = r.block()
    const data = head.compression === 1 ? gunzipSync(block) : block
    return head.protocol === TCP ? { ...head, data } : { ...head, data, place: r.place(), target: r.place() }
  },
  connectResponse: (r) => {
    const success = r.u8() === 1
    const id = r.uuid()
    return success ? { success, id } : { id, error: r.str8() }
  },
  disconnect: (r) => ({ id: r.uuid(), error: r.optionalStr8() }),
  connector: (r) => ({ id: r.uuid(), token: r.str8(), protocol: r.u8() }),
  connectorResponse: (r) => {
    const id = r.uuid()
    return r.u8() === 1 ? { id, success: true, token: r.optionalStr8() } : { id, error: r.str8() }
  },
  log: (r) => ({ json: JSON.parse(r.block().toString()) }),
  partners: (r) => ({ json: JSON.parse(r.block().toString()) }),
}

/** Reads a message as a deployed program does. @throws RangeError when it is too short */
export function read(raw: Buffer): Message {
  const kind = (Object.keys(CODES) as Kind[]).find((name) => CODES[name] === raw[1])
  return {
    id: '',
    protocol: 0,
    success: false,
    error: undefined,
    compression: 0,
    data: Buffer.alloc(0),
    place: NOWHERE,
    target: NOWHERE,
    token: undefined,
    reverse: false,
    json: undefined,
    ...(kind && READ[kind](new Reader(raw))),
    raw,
    version: raw.readUInt8(0),
    kind,
  }
}

/** A channel id nobody has used. */
export function newId(): string {
  const id = randomBytes(16)
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x40
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80
  return id.toString('hex')
}

type Part = Uint8Array | number

function write(kind: Kind, ...parts: readonly Part[]): Buffer {
  const bytes = parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : part))
  return Buffer.concat([Buffer.of(VERSION, CODES[kind]), ...bytes])
}

const uuid = (id: string): Buffer => Buffer.from(id, 'hex')

/** Deployed writers let the length wrap and write all of the text. */
function str8(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.of(bytes.length & 255), bytes])
}

const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 255)

function block(data: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  return Buffer.concat([length, data])
}

const json = (value: unknown): Buffer => block(Buffer.from(JSON.stringify(value)))

export const auth = (token: string, reverse: boolean, instance: string): Buffer =>
  write('auth', str8(token), reverse ? 1 : 0, uuid(instance))

/** Nothing follows Success; the serverless relay writes the token behind it. */
export const admitted = (token?: string): Buffer =>
  write('authResponse', 1, token === undefined ? Buffer.of() : str8(token))

export const rejected = (error: string): Buffer => write('authResponse', 0, str8(error))

export const connect = (id: string, host: string | Uint8Array, port: number): Buffer =>
  write('connect', TCP, uuid(id), str8(host), u16(port))

export const associate = (id: string): Buffer => write('connect', UDP, uuid(id))

export const data = (id: string, bytes: Uint8Array | string): Buffer =>
  write('data', TCP, uuid(id), 0, block(Buffer.from(bytes)))

export const gzipped = (id: string, bytes: Uint8Array | string): Buffer => compressed(id, gzipSync(bytes))

/** Data whose Compression says gzip, whatever the bytes are. */
export const compressed = (id: string, bytes: Uint8Array): Buffer => write('data', TCP, uuid(id), 1, block(bytes))

/** A datagram to a destination: what the SOCKS side sends. */
export const datagramTo = (id: string, { host, port }: Place, bytes: Uint8Array, gzip = false): Buffer =>
  write('data', UDP, uuid(id), ...payload(bytes, gzip), str8(''), u16(0), str8(host), u16(port))

/** A datagram from a source: what the exit sends. */
export const datagramFrom = (id: string, { host, port }: Place, bytes: Uint8Array, gzip = false): Buffer =>
  write('data', UDP, uuid(id), ...payload(bytes, gzip), str8(host), u16(port), str8(''), u16(0))

const payload = (bytes: Uint8Array, gzip: boolean): readonly Part[] => [
  gzip ? 1 : 0,
  block(gzip ? gzipSync(bytes) : bytes),
]

export const connected = (id: string): Buffer => write('connectResponse', 1, uuid(id))

export const refused = (id: string, error: string | Uint8Array): Buffer =>
  write('connectResponse', 0, uuid(id), str8(error))

export const disconnect = (id: string, error?: string | Uint8Array): Buffer =>
  write('disconnect', uuid(id), error === undefined ? Buffer.of() : str8(error))

export const connector = (id: string, token: string, operation: number): Buffer =>
  write('connector', uuid(id), str8(token), operation)

export const connectorAdded = (id: string, token: string): Buffer =>
  write('connectorResponse', uuid(id), 1, str8(token))

export const connectorRefused = (id: string, error: string): Buffer =>
  write('connectorResponse', uuid(id), 0, str8(error))

export const log = (level: string, msg: string): Buffer => write('log', json({ level, msg }))

export const partners = (count: unknown): Buffer => write('partners', json({ count }))
