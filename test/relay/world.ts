import { LinkSocksError } from '../../src/errors.js'
import type { Departure } from '../../src/inbound/departure.js'
import { FailedAttempts } from '../../src/inbound/failed-attempts.js'
import type { LogFields, Logger } from '../../src/log.js'
import { Session, type SessionHandler } from '../../src/mux/session.js'
import { SessionDialer } from '../../src/mux/session-dialer.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { nodeInflate } from '../../src/node/system/inflate.js'
import type { ByteStream, DatagramSocket, Dialer, Target } from '../../src/ports.js'
import { RESUME_TIMEOUT_MS } from '../../src/protocol/limits.js'
import { decodeMessage, encodeAuth, type Message, MessageType } from '../../src/protocol/messages.js'
import { tokenHash } from '../../src/protocol/token-hash.js'
import { newUuid } from '../../src/protocol/uuid.js'
import { CONNECTOR_WAIT_MS, Relay, type RelayOptions } from '../../src/relay/relay.js'
import { MemoryTokenStore } from '../../src/relay/tokens/memory-token-store.js'
import { ServerAccess } from '../../src/relay/tokens/server-access.js'
import { Calls } from '../exit/fakes.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { type MemoryTransport, memoryTransportPair } from '../support/memory-transport.js'

/** The message of one type, as decoded. */
export type MessageOf<T extends Message['type']> = Extract<Message, { type: T }>

/** A scripted peer of the relay: what it got, in order, and what it says. */
export class Peer {
  readonly transport: MemoryTransport
  /** The relay's end. */
  readonly far: MemoryTransport
  readonly raw: Uint8Array[] = []
  closed: { code: number } | undefined

  constructor([near, far]: [MemoryTransport, MemoryTransport]) {
    this.transport = near
    this.far = far
    near.start({
      message: (data) => this.raw.push(data),
      activity: () => {},
      drain: () => {},
      close: ({ code }) => {
        this.closed = { code }
      },
    })
  }

  get messages(): Message[] {
    return this.raw.flatMap((raw) => decodeMessage(raw) ?? [])
  }

  of<T extends Message['type']>(type: T): MessageOf<T>[] {
    return this.messages.filter((message): message is MessageOf<T> => message.type === type)
  }

  /** Forgets what came so far. */
  clear(): void {
    this.raw.length = 0
  }

  async send(...messages: Uint8Array[]): Promise<void> {
    for (const message of messages) this.transport.send(message)
    await settle()
  }

  get partners(): number | undefined {
    return this.of(MessageType.Partners).at(-1)?.count
  }
}

export interface JoinOptions {
  readonly reverse?: boolean | undefined
  readonly instance?: Uint8Array | undefined
  readonly extensions?: boolean
  readonly inBand?: boolean
  /** Whose version byte the in-band form shows. @default '1.8' */
  readonly release?: '1.8' | '1.10'
  /** Where it comes from. @default '192.0.2.1' */
  readonly address?: string | undefined
  /** Of the certificate that it has. @default it has none */
  readonly subject?: string | undefined
  /** It can judge by policies. @default false */
  readonly policies?: boolean | undefined
}

export interface OpenPort {
  readonly port: number
  readonly dialer: Dialer
  readonly credentials: () => unknown
  readonly departure?: Departure | undefined
}

/** A relay on a clock that stands still, with links in memory. */
export class World {
  readonly clock = new ManualClock()
  readonly lines: { event: string; fields: LogFields }[] = []
  readonly dials = new Calls<Target, ByteStream>()
  readonly lookups = new Calls<string, readonly string[]>({ heedSignal: false })
  readonly associations = new Calls<undefined, DatagramSocket>()
  /** Ports of other programs. */
  readonly busyPorts = new Set<number>()
  readonly openPorts = new Map<number, OpenPort>()
  readonly relay: Relay
  readonly peers: Peer[] = []
  admitted = 0

  constructor(options: Partial<RelayOptions> = {}) {
    this.relay = new Relay({
      clock: this.clock,
      crypto: nodeCrypto,
      inflate: () => Promise.reject(new Error('a relay inflates nothing')),
      log: this.#logger(),
      createExitDialer: () => ({
        dial: (target, dialOptions) => this.dials.call(target, dialOptions),
        associate: (dialOptions) => this.associations.call(undefined, dialOptions),
      }),
      resolve: this.lookups.call,
      access: new ServerAccess(),
      openPort: async (port) => ({ stopAccepting: () => {}, ...this.#openPort(port) }),
      portRange: [10_000, 10_004],
      socksNowait: false,
      connectorWaitMs: CONNECTOR_WAIT_MS,
      fastOpen: false,
      trace: false,
      version: '1.2.3',
      resumeTimeoutMs: RESUME_TIMEOUT_MS,
      attempts: new FailedAttempts(this.clock),
      store: new MemoryTokenStore(),
      ...options,
    })
  }

  /** Everything that was logged, as text. */
  get logText(): string {
    return JSON.stringify(this.lines)
  }

  /** A WebSocket that has not been admitted yet. */
  async attempt(
    query: string | URLSearchParams | Record<string, string> = '',
    address = '192.0.2.1',
    subject?: string,
  ): Promise<Peer> {
    const pair = memoryTransportPair({ clock: this.clock })
    const peer = new Peer(pair)
    this.peers.push(peer)
    const admitted = (): void => {
      this.admitted += 1
    }
    void this.relay.accept({ transport: pair[1], query: new URLSearchParams(query), admitted }, { address, subject })
    await settle()
    return peer
  }

  async join(
    token: string,
    { reverse, instance, extensions, inBand, release, address, subject }: JoinOptions = {},
  ): Promise<Peer> {
    if (inBand === true) {
      const peer = await this.attempt(extensions === true ? 'ext=1' : '', address, subject)
      const auth = encodeAuth({ token, reverse: reverse ?? false, instance: instance ?? new Uint8Array(16) })
      if (release === '1.10') auth[0] = 2
      await peer.send(auth)
      return peer
    }
    return this.attempt(this.query(token, { reverse, instance, extensions: extensions ?? false }), address, subject)
  }

  query(token: string, { reverse, instance, extensions, policies }: JoinOptions = {}): URLSearchParams {
    const query = new URLSearchParams({ token: tokenHash(token, nodeCrypto) })
    if (reverse !== undefined) query.set('reverse', String(reverse))
    if (instance !== undefined) query.set('instance', uuidText(instance))
    if (extensions === true) query.set('ext', '1')
    if (policies === true) query.set('policy', '1')
    return query
  }

  /** A link whose far end is a Session of ours. */
  async joinSession(
    token: string,
    handler: Partial<SessionHandler>,
    reverse = false,
    policies = false,
  ): Promise<SessionPeer> {
    const pair = memoryTransportPair({ clock: this.clock })
    const accepted = this.relay.accept(
      { transport: pair[1], query: this.query(token, { reverse, extensions: true, policies }) },
      { address: '192.0.2.2' },
    )
    const lost: SessionPeer['lost'] = []
    const session = new Session(pair[0], {
      clock: this.clock,
      crypto: nodeCrypto,
      inflate: nodeInflate,
      log: this.#logger(),
      pongs: true,
    })
    session.start({ close: (error) => lost.push(error), ...handler })
    await accepted
    return { session, transport: pair[0], far: pair[1], dialer: new SessionDialer(session, { fastOpen: false }), lost }
  }

  /** Ends every link; afterwards nothing may be left but what `close` leaves. */
  async closeAll(): Promise<void> {
    for (const peer of this.peers) peer.transport.abort()
    await settle()
  }

  #openPort(port: OpenPort): { close(): Promise<void> } {
    if (this.busyPorts.has(port.port) || this.openPorts.has(port.port)) {
      throw new LinkSocksError('ERR_LISTEN', `port ${port.port} is in use`)
    }
    this.openPorts.set(port.port, port)
    return {
      close: async () => {
        this.openPorts.delete(port.port)
      },
    }
  }

  #logger(): Logger {
    const write = (event: string, fields: LogFields = {}): void => {
      this.lines.push({ event, fields })
    }
    return { debug: write, info: write, warn: write, error: write }
  }
}

export interface SessionPeer {
  readonly session: Session
  readonly transport: MemoryTransport
  readonly far: MemoryTransport
  readonly dialer: SessionDialer
  readonly lost: (LinkSocksError | undefined)[]
}

export const uuid = (): Uint8Array => newUuid(nodeCrypto)

function uuidText(bytes: Uint8Array): string {
  const digits = Buffer.from(bytes).toString('hex')
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  )
}

/** A relay with one reverse token `tenant` and one connector token `member`. */
export async function agentWorld(options: Partial<RelayOptions> = {}): Promise<World> {
  const world = new World(options)
  await world.relay.addToken({ type: 'reverse', token: 'tenant' })
  await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant' })
  return world
}
