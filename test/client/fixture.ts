import type { OpenTransport } from '../../src/client/connect-link.js'
import { LinkSocksError } from '../../src/errors.js'
import type { LogFields, Logger } from '../../src/log.js'
import { Session } from '../../src/mux/session.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { nodeInflate } from '../../src/node/system/inflate.js'
import type { Clock, Crypto, MessageTransport, TransportClose } from '../../src/ports.js'
import { decodeMessage, encodeAuthResponse, type Message } from '../../src/protocol/messages.js'
import type { Trailer } from '../../src/protocol/trailer.js'
import { settle } from '../support/manual-clock.js'
import { type MemoryTransport, memoryTransportPair } from '../support/memory-transport.js'

/** A logger that keeps what it is told. */
export class LogRecorder implements Logger {
  readonly lines: { readonly level: string; readonly event: string; readonly fields: LogFields }[] = []

  debug = (event: string, fields: LogFields = {}): void => this.#add('debug', event, fields)
  info = (event: string, fields: LogFields = {}): void => this.#add('info', event, fields)
  warn = (event: string, fields: LogFields = {}): void => this.#add('warn', event, fields)
  error = (event: string, fields: LogFields = {}): void => this.#add('error', event, fields)

  /** The fields of each line of one event. */
  of(event: string): LogFields[] {
    return this.lines.filter((line) => line.event === event).map(({ fields }) => fields)
  }

  /** All of it, as text to search for secrets. */
  get text(): string {
    return JSON.stringify(this.lines)
  }

  #add(level: string, event: string, fields: LogFields): void {
    this.lines.push({ level, event, fields })
  }
}

/** Randomness whose bytes are all `value`. */
export function constantCrypto(value: number): Crypto {
  return { randomBytes: (length) => new Uint8Array(length).fill(value), sha256: nodeCrypto.sha256 }
}

/** The server's end of one link. */
export class ScriptedLink {
  readonly url: string
  readonly secretInBand: boolean
  readonly signal: AbortSignal | undefined
  readonly messages: Uint8Array[] = []
  /** Frames of any kind that arrived. */
  frames = 0
  closed: TransportClose | undefined
  readonly transport: MemoryTransport

  constructor(transport: MemoryTransport, url: string, secretInBand: boolean, signal: AbortSignal | undefined) {
    this.transport = transport
    this.url = url
    this.secretInBand = secretInBand
    this.signal = signal
    transport.start({
      message: (data) => this.messages.push(data),
      activity: () => {
        this.frames += 1
      },
      drain: () => {},
      close: (info) => {
        this.closed = info
      },
    })
  }

  send(...messages: readonly Uint8Array[]): void {
    for (const message of messages) this.transport.send(message)
  }

  async admit(trailer?: Trailer): Promise<void> {
    this.send(encodeAuthResponse({ success: true, trailer }))
    await settle()
  }

  /** What the client sent, of one type. */
  received<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
    const messages = this.messages.map((raw) => decodeMessage(raw))
    return messages.filter((message): message is Extract<Message, { type: T }> => message?.type === type)
  }
}

/** Stands where the network is: each connection ends at a link that the test speaks for. */
export class ScriptedServer {
  readonly links: ScriptedLink[] = []
  /** Connections asked for, failed ones included. */
  attempts = 0
  /** While set, every connection fails with it. */
  failure: LinkSocksError | undefined
  /** Hosts to which every connection fails. */
  readonly unreachable = new Set<string>()
  /** While set, connections stay half open until they are cancelled. */
  stalls = false
  /** Admits each link at once, with this trailer. */
  admits: Trailer | undefined

  readonly openTransport: OpenTransport = async (url, { secretInBand, signal }): Promise<MessageTransport> => {
    this.attempts += 1
    if (this.failure !== undefined) throw this.failure
    if (this.unreachable.has(new URL(url).host)) throw new LinkSocksError('ERR_CONNECT', 'cannot reach it')
    if (this.stalls) await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    const [client, server] = memoryTransportPair()
    const link = new ScriptedLink(server, url, secretInBand, signal)
    this.links.push(link)
    if (this.admits !== undefined) link.send(encodeAuthResponse({ success: true, trailer: this.admits }))
    return client
  }

  link(index = this.links.length - 1): ScriptedLink {
    const link = this.links.at(index)
    if (link === undefined) throw new Error(`no link ${index}`)
    return link
  }
}

/** A session on a memory transport, and what stands at its other end. */
export function session(clock: Clock): { session: Session; far: ScriptedLink } {
  const [near, far] = memoryTransportPair()
  const log = new LogRecorder()
  const made = new Session(near, { clock, crypto: nodeCrypto, inflate: nodeInflate, log, pongs: true })
  made.start({ close: () => {} })
  return { session: made, far: new ScriptedLink(far, '', false, undefined) }
}
