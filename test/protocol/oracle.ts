/**
 * A second codec of the same tables: slow, one DataView access a byte, with nothing of the real one but its types.
 * Tests compare the two.
 */
import type { Target } from '../../src/ports.js'
import type { Message } from '../../src/protocol/messages.js'
import type { Trailer } from '../../src/protocol/trailer.js'

/** Why the oracle refuses a message. */
export class Refused extends Error {
  readonly kind: 'VERSION' | 'TRUNCATED' | 'INVALID' | 'TOO_LARGE'

  constructor(kind: Refused['kind']) {
    super(kind)
    this.kind = kind
  }
}

class Cursor {
  readonly view: DataView
  at = 0

  constructor(data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  }

  byte(): number {
    if (this.at >= this.view.byteLength) throw new Refused('TRUNCATED')
    return this.view.getUint8(this.at++)
  }

  number(width: number): number {
    let value = 0n
    for (let i = 0; i < width; i++) value = (value << 8n) | BigInt(this.byte())
    return Number(value)
  }

  raw(length: number): Uint8Array {
    if (this.at + length > this.view.byteLength) throw new Refused('TRUNCATED')
    const out: number[] = []
    for (let i = 0; i < length; i++) out.push(this.byte())
    return Uint8Array.from(out)
  }

  text(): string {
    return Buffer.from(this.raw(this.byte())).toString('utf8')
  }

  target(): Target {
    const host = this.text()
    return { host, port: this.number(2) }
  }

  get atEnd(): boolean {
    return this.at === this.view.byteLength
  }
}

/** @throws {Refused} */
export function oracleDecode(data: Uint8Array): Message | undefined {
  const c = new Cursor(data)
  const version = c.byte()
  if (version >= 0x10) throw new Refused('VERSION')
  const type = c.byte()
  if (type === 1) {
    const token = c.text()
    const reverse = c.byte() === 1
    const instance = c.raw(16)
    return { type, token, reverse, instance, trailer: trailerOf(c) }
  }
  if (type === 2) {
    if (c.byte() !== 1) return { type, success: false, error: c.text() }
    const token = c.atEnd ? '' : c.text()
    return { type, success: true, token: token === '' ? undefined : token, trailer: trailerOf(c) }
  }
  if (type === 3) {
    const protocol = c.byte()
    const channelId = c.raw(16)
    const target = protocol === 1 ? c.target() : undefined
    if (protocol !== 1 && protocol !== 2) return { type, protocol, channelId }
    const bare = data[c.at] === 0x4c && data[c.at + 1] === 0x58
    const resume = !bare && !c.atEnd && c.byte() !== 0 ? true : undefined
    return { type, protocol, channelId, target, resume, trailer: trailerOf(c) }
  }
  if (type === 4) {
    const protocol = c.byte()
    const channelId = c.raw(16)
    const compression = c.byte()
    const payload = c.raw(c.number(4))
    const message = { type, protocol, channelId, compression, data: payload } as const
    if (protocol !== 2) return message
    const source = c.target()
    return { ...message, source, target: c.target() }
  }
  if (type === 5) {
    const success = c.byte() === 1
    const channelId = c.raw(16)
    const error = success ? undefined : c.text()
    return { type, success, channelId, error, trailer: trailerOf(c) }
  }
  if (type === 6) {
    const channelId = c.raw(16)
    return { type, channelId, error: c.atEnd ? undefined : c.text() }
  }
  if (type === 7) {
    const requestId = c.raw(16)
    const token = c.text()
    return { type, requestId, token, operation: c.byte() }
  }
  if (type === 8) {
    const requestId = c.raw(16)
    if (c.byte() !== 1) return { type, requestId, success: false, error: c.text() }
    const token = c.atEnd ? '' : c.text()
    return { type, requestId, success: true, token: token === '' ? undefined : token }
  }
  if (type === 9 || type === 10) return jsonMessage(type, c)
  if (type === 14 || type === 15 || type === 16 || type === 17) return moveMessage(type, jsonOf(c))
  if (type === 11 || type === 12 || type === 13) return { type, data: c.raw(c.number(4)) }
  return undefined
}

type Json = Readonly<Record<string, unknown>>

function jsonOf(c: Cursor): Json {
  const length = c.number(4)
  if (length > 65_536) throw new Refused('TOO_LARGE')
  const text = Buffer.from(c.raw(length)).toString('utf8')
  let value: Json | null | string | number | boolean
  try {
    value = JSON.parse(text)
  } catch {
    throw new Refused('INVALID')
  }
  if (value === null || typeof value !== 'object') throw new Refused('INVALID')
  return value
}

function jsonMessage(type: 9 | 10, c: Cursor): Message {
  const value = jsonOf(c)
  if (type === 9) {
    if (typeof value.msg !== 'string') throw new Refused('INVALID')
    const known = ['trace', 'debug', 'info', 'warn', 'error'].find((level) => level === value.level)
    return { type, level: known ?? 'info', message: value.msg }
  }
  if (!Number.isSafeInteger(value.count) || Number(value.count) < 0) throw new Refused('INVALID')
  return { type, count: Number(value.count) }
}

function moveMessage(type: 14 | 15 | 16 | 17, value: Json): Message {
  const channelId = idOf(value.channel_id)
  if (type === 14) {
    const { protocol } = value
    if (protocol !== 'tcp' && protocol !== 'udp') throw new Refused('INVALID')
    return { type, channelId, protocol, peerSession: idOf(value.peer_session_id) }
  }
  if (type === 15) return { type, channelId, reason: textOf(value.reason) }
  if (type === 16) {
    if (value.success !== true && value.success !== false) throw new Refused('INVALID')
    return { type, channelId, success: value.success, error: textOf(value.error) }
  }
  const { sequence } = value
  if (typeof sequence !== 'number' || !(sequence >= 0 && sequence < 2 ** 53 && sequence % 1 === 0)) {
    throw new Refused('INVALID')
  }
  return { type, channelId, sequence }
}

function idOf(value: unknown): Uint8Array {
  const groups = typeof value === 'string' ? value.split('-') : []
  const lengths = groups.map((group) => group.length).join()
  const digits = groups.join('')
  if (lengths !== '8,4,4,4,12' || ![...digits].every((digit) => '0123456789abcdefABCDEF'.includes(digit))) {
    throw new Refused('INVALID')
  }
  return new Uint8Array(Buffer.from(digits, 'hex'))
}

function idText(id: Uint8Array): string {
  const digits = Buffer.from(id).toString('hex')
  const ends = [8, 12, 16, 20, 32]
  return ends.map((end, at) => digits.slice(ends[at - 1] ?? 0, end)).join('-')
}

function textOf(value: unknown): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw new Refused('INVALID')
  return value === '' ? undefined : value
}

function trailerOf(c: Cursor): Trailer | undefined {
  const start = c.at
  try {
    if (c.byte() !== 0x4c || c.byte() !== 0x58) return undefined
    const trailer: { -readonly [Field in keyof Trailer]: Trailer[Field] } = {}
    while (!c.atEnd) {
      const tag = c.byte()
      const value = c.raw(c.byte())
      const expected: number | undefined = new Map([
        [1, 4],
        [2, 1],
        [0x10, 16],
        [0x11, 0],
        [0x12, 8],
        [0x13, 0],
      ]).get(tag)
      if (expected !== undefined && expected !== value.length) return undefined
      if (tag === 1) trailer.streamControl = new Cursor(value).number(4)
      if (tag === 2) trailer.rep = new Cursor(value).number(1)
      if (tag === 0x10) trailer.sessionId = value
      if (tag === 0x11) trailer.keepsOrder = true
      if (tag === 0x12) {
        const received = new Cursor(value).number(8)
        if (received >= 2 ** 53) return undefined
        trailer.received = received
      }
      if (tag === 0x13) trailer.knowsPolicies = true
      if (tag === 0x14) {
        if (value.length === 0 || value.length % 4 > 0) return undefined
        const refs = new Cursor(value)
        trailer.policies = []
        while (!refs.atEnd) trailer.policies = [...trailer.policies, refs.number(4)]
      }
    }
    return trailer
  } catch {
    return undefined
  } finally {
    c.at = start
  }
}

/** Writes the fields of any message; numbers and ids must fit. */
export function oracleEncode(message: Message): Uint8Array {
  const out: number[] = [1, message.type]
  switch (message.type) {
    case 1:
      return seal(out, text(message.token), [Number(message.reverse)], message.instance, trailer(message.trailer))
    case 2:
      if (!message.success) return seal(out, [0], text(message.error ?? ''))
      if (message.token === undefined && message.trailer === undefined) return seal(out, [1])
      return seal(out, [1], text(message.token ?? ''), trailer(message.trailer))
    case 3:
      return seal(out, [message.protocol], message.channelId, target(message.target), connectTail(message))
    case 4:
      return seal(
        out,
        [message.protocol],
        message.channelId,
        [message.compression],
        number(message.data.length, 4),
        message.data,
        target(message.source),
        target(message.target),
      )
    case 5:
      return seal(
        out,
        [Number(message.success)],
        message.channelId,
        message.success ? [] : text(message.error ?? ''),
        trailer(message.trailer),
      )
    case 6:
      return seal(out, message.channelId, message.error === undefined ? [] : text(message.error))
    case 7:
      return seal(out, message.requestId, text(message.token), [message.operation])
    case 8:
      if (!message.success) return seal(out, message.requestId, [0], text(message.error ?? ''))
      return seal(out, message.requestId, [1], message.token === undefined ? [] : text(message.token))
    case 9:
      return seal(out, counted(JSON.stringify({ level: message.level, msg: message.message })))
    case 10:
      return seal(out, counted(`{"count":${message.count}}`))
    case 14: {
      const { channelId, protocol, peerSession } = message
      const json = { channel_id: idText(channelId), protocol, peer_session_id: idText(peerSession) }
      return seal(out, counted(JSON.stringify(json)))
    }
    case 15:
      return seal(out, counted(JSON.stringify({ channel_id: idText(message.channelId), reason: message.reason })))
    case 16: {
      const { channelId, success, error } = message
      return seal(out, counted(JSON.stringify({ channel_id: idText(channelId), success, error })))
    }
    case 17:
      return seal(out, counted(JSON.stringify({ channel_id: idText(message.channelId), sequence: message.sequence })))
    default:
      return seal(out, number(message.data.length, 4), message.data)
  }
}

function seal(head: number[], ...parts: ArrayLike<number>[]): Uint8Array {
  const whole = [...head]
  for (const part of parts) for (let i = 0; i < part.length; i++) whole.push(part[i] ?? 0)
  const view = new DataView(new ArrayBuffer(whole.length))
  for (const [i, byte] of whole.entries()) view.setUint8(i, byte)
  return new Uint8Array(view.buffer)
}

function number(value: number, width: number): number[] {
  return Array.from({ length: width }, (_, i) => Number((BigInt(value) >> BigInt(8 * (width - 1 - i))) & 0xffn))
}

function text(value: string): number[] {
  const out: number[] = []
  for (const character of value) {
    const utf8 = Buffer.from(character, 'utf8')
    if (out.length + utf8.length > 255) break
    out.push(...utf8)
  }
  return [out.length, ...out]
}

function counted(json: string): number[] {
  const utf8 = [...Buffer.from(json, 'utf8')]
  return [...number(utf8.length, 4), ...utf8]
}

function target(value: Target | undefined): number[] {
  return value === undefined ? [] : [...text(value.host), ...number(value.port, 2)]
}

function connectTail(message: Message & { type: 3 }): number[] {
  if (message.resume !== true && message.trailer === undefined) return []
  return [Number(message.resume === true), ...trailer(message.trailer)]
}

function trailer(value: Trailer | undefined): number[] {
  if (value === undefined) return []
  const out = [0x4c, 0x58]
  if (value.streamControl !== undefined) out.push(1, 4, ...number(value.streamControl, 4))
  if (value.rep !== undefined) out.push(2, 1, value.rep)
  if (value.sessionId !== undefined) out.push(0x10, 16, ...value.sessionId)
  if (value.keepsOrder === true) out.push(0x11, 0)
  if (value.received !== undefined) out.push(0x12, 8, ...number(value.received, 8))
  if (value.knowsPolicies === true) out.push(0x13, 0)
  const refs = value.policies?.flatMap((ref) => number(ref, 4))
  if (refs !== undefined) out.push(0x14, refs.length, ...refs)
  return out
}
