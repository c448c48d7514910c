import { createHash, randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { LinkSocksError } from '../../src/errors.js'
import type { LogFields, Logger } from '../../src/log.js'
import { Channel } from '../../src/mux/channel/channel.js'
import { Session, type SessionHandler, type SessionOptions } from '../../src/mux/session.js'
import { SessionDialer } from '../../src/mux/session-dialer.js'
import type { ByteStream, Crypto, Inflate } from '../../src/ports.js'
import { ControlOp, encodeControl } from '../../src/protocol/control.js'
import {
  Compression,
  type ConnectMessage,
  decodeMessage,
  encodeConnectResponse,
  encodeDataHead,
  encodeDisconnect,
  type Message,
  MessageType,
} from '../../src/protocol/messages.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { type MemoryTransport, type MemoryTransportOptions, memoryTransportPair } from '../support/memory-transport.js'
import { concat } from '../support/test-peer.js'

export const TARGET = { host: 'example.com', port: 443 }

export const crypto: Crypto = {
  randomBytes: (length) => new Uint8Array(randomBytes(length)),
  sha256: (data) => new Uint8Array(createHash('sha256').update(data).digest()),
}

/** Inflates without another thread, so that a test need not wait for one. */
export const inflate: Inflate = async (input, maxBytes) => {
  try {
    return new Uint8Array(gunzipSync(input, { maxOutputLength: maxBytes }))
  } catch (cause) {
    throw new LinkSocksError('ERR_MESSAGE_INVALID', 'not gzip', { cause })
  }
}

/** Remembers every event. */
class TestLog implements Logger {
  readonly events: { readonly level: string; readonly event: string; readonly fields: LogFields | undefined }[] = []
  readonly debug = (event: string, fields?: LogFields) => this.#add('debug', event, fields)
  readonly info = (event: string, fields?: LogFields) => this.#add('info', event, fields)
  readonly warn = (event: string, fields?: LogFields) => this.#add('warn', event, fields)
  readonly error = (event: string, fields?: LogFields) => this.#add('error', event, fields)

  #add(level: string, event: string, fields: LogFields | undefined): void {
    this.events.push({ level, event, fields })
  }

  named(event: string): readonly (LogFields | undefined)[] {
    return this.events.filter((entry) => entry.event === event).map(({ fields }) => fields)
  }
}

export interface EndOptions extends Partial<SessionOptions> {
  readonly handler?: Omit<SessionHandler, 'close'>
  /** Whether the session takes Connects. @default true */
  readonly accepts?: boolean
}

/** One session and what its handler was told. */
export class SessionEnd {
  readonly session: Session
  readonly transport: MemoryTransport
  readonly log = new TestLog()
  readonly closes: (LinkSocksError | undefined)[] = []

  constructor(transport: MemoryTransport, clock: ManualClock, { handler, accepts: _, ...options }: EndOptions = {}) {
    this.transport = transport
    transport.record()
    this.session = new Session(transport, {
      clock,
      crypto,
      inflate,
      log: this.log,
      pongs: false,
      ...options,
    })
    this.session.start({ ...handler, close: (error) => this.closes.push(error) })
  }

  dialer(fastOpen = false): SessionDialer {
    return new SessionDialer(this.session, { fastOpen })
  }

  /** Messages sent so far, decoded. */
  get sent(): Message[] {
    return this.transport.sentMessages.map((raw) => decodeMessage(raw)).filter((message) => message !== undefined)
  }
}

/** Takes the Connects of a session as an exit does: a channel each, answered when the test says. */
export class Accepter {
  readonly channels: Channel[] = []
  readonly connects: ConnectMessage[] = []
  readonly cancels: (LinkSocksError | undefined)[] = []
  /** Answer with success at once. */
  accepting = true
  /** Takes what a Connect offers; without it channels have no stream control. */
  offers = true
  #end: SessionEnd | undefined

  readonly handler = {
    connect: (message: ConnectMessage): void => {
      if (this.#end === undefined) return
      this.connects.push(message)
      const channel = new Channel({
        host: this.#end.session,
        id: message.channelId,
        opener: false,
        offer: this.offers ? message.trailer?.streamControl : undefined,
        fastOpen: false,
      })
      this.channels.push(channel)
      channel.onCancel((error) => this.cancels.push(error))
      if (this.accepting) channel.accept()
    },
  }

  serve(end: SessionEnd): void {
    this.#end = end
  }

  channel(index = 0): Channel {
    const channel = this.channels[index]
    if (channel === undefined) throw new Error(`no channel ${index} was opened`)
    return channel
  }
}

export interface SessionPair {
  readonly clock: ManualClock
  readonly near: SessionEnd
  readonly far: SessionEnd
  readonly accepter: Accepter
  /** Opens a channel; the far end accepts it. */
  open(fastOpen?: boolean): Promise<{ readonly near: ByteStream; readonly far: Channel }>
}

export interface SessionPairOptions extends MemoryTransportOptions {
  readonly near?: EndOptions
  readonly far?: EndOptions
}

/** Two sessions joined in memory; `far` accepts channels. */
export function sessionPair({ near: nearOptions, far: farOptions, ...options }: SessionPairOptions = {}): SessionPair {
  const clock = new ManualClock()
  const [a, b] = memoryTransportPair(options)
  const accepter = new Accepter()
  const near = new SessionEnd(a, clock, nearOptions)
  const far = new SessionEnd(b, clock, { ...farOptions, handler: { ...accepter.handler, ...farOptions?.handler } })
  accepter.serve(far)
  const open = async (fastOpen = false) => {
    const stream = await near.dialer(fastOpen).dial(TARGET)
    await settle()
    return { near: stream, far: accepter.channel(accepter.channels.length - 1) }
  }
  return { clock, near, far, accepter, open }
}

/** A session whose peer is written by hand. */
export class ScriptedPeer {
  readonly clock = new ManualClock()
  readonly end: SessionEnd
  readonly accepter = new Accepter()
  readonly transport: MemoryTransport
  readonly received: Message[] = []
  closed = false

  constructor(options: EndOptions = {}, transportOptions: MemoryTransportOptions = {}) {
    const [a, b] = memoryTransportPair(transportOptions)
    const connect = options.accepts === false ? {} : this.accepter.handler
    this.end = new SessionEnd(a, this.clock, { ...options, handler: { ...connect, ...options.handler } })
    this.accepter.serve(this.end)
    this.transport = b
    b.start({
      message: (raw) => {
        const message = decodeMessage(raw)
        if (message !== undefined) this.received.push(message)
      },
      activity: () => {},
      drain: () => {},
      close: () => {
        this.closed = true
      },
    })
  }

  async send(...messages: readonly Uint8Array[]): Promise<void> {
    for (const message of messages) this.transport.send(message)
    await settle()
  }

  of<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
    return this.received.filter((message): message is Extract<Message, { type: T }> => message.type === type)
  }

  /** The id of the last Connect that came. */
  get id(): Uint8Array {
    const connect = this.of(MessageType.Connect).at(-1)
    if (connect === undefined) throw new Error('no Connect came')
    return connect.channelId
  }

  /** Payloads of plain Data that came. */
  get data(): Uint8Array {
    return concat(
      ...this.of(MessageType.Data)
        .filter(({ compression }) => compression === Compression.None)
        .map(({ data }) => data),
    )
  }

  /** The bytes of each control frame that came, but for measurements. */
  get frames(): number[][] {
    return this.#control.filter(([op]) => op !== ControlOp.Ping)
  }

  /** The ids of the PINGs that came. */
  get pings(): number[][] {
    return this.#control.filter(([op]) => op === ControlOp.Ping).map(([, ...id]) => id)
  }

  get #control(): number[][] {
    return this.of(MessageType.Data)
      .filter(({ compression }) => compression === Compression.Control)
      .map(({ data }) => [...data])
  }

  get disconnects(): (string | undefined)[] {
    return this.of(MessageType.Disconnect).map(({ error }) => error)
  }

  /** The session dials, this peer answers: with credit, or as an old peer. */
  async dialled(credit?: number): Promise<ByteStream> {
    const dialling = this.end.dialer().dial(TARGET)
    await settle()
    await this.send(success(this.id, credit))
    return dialling
  }
}

export function data(id: Uint8Array, payload: Uint8Array, compression: number = Compression.None): Uint8Array {
  return concat(encodeDataHead(id, payload.byteLength, compression), payload)
}

export function success(id: Uint8Array, credit?: number): Uint8Array {
  const trailer = credit === undefined ? undefined : { streamControl: credit }
  return encodeConnectResponse({ success: true, channelId: id, trailer })
}

export const windowUpdate = (id: Uint8Array, credit: number): Uint8Array =>
  encodeControl(id, { op: ControlOp.WindowUpdate, credit })
export const endOfStream = (id: Uint8Array, total: number): Uint8Array =>
  encodeControl(id, { op: ControlOp.EndOfStream, total })
export const reset = (id: Uint8Array, code: number): Uint8Array => encodeControl(id, { op: ControlOp.Reset, code })
export const disconnect = (id: Uint8Array, error?: string): Uint8Array => encodeDisconnect({ channelId: id, error })

export function uuid(seed: number): Uint8Array {
  return new Uint8Array(16).fill(seed)
}

/** Bytes of the RESET codes that an end sent. */
export function resetCodes(messages: readonly Message[]): number[] {
  return messages.flatMap((message) =>
    message.type === MessageType.Data && message.compression === Compression.Control && message.data[0] === 3
      ? [message.data[1] ?? -1]
      : [],
  )
}
