/**
 * What the core asks of its surroundings. Every interface here has adapters (`src/node`, tests) and
 * one contract suite in `test/contract` that all of them pass.
 */
import type { LinkSocksError } from './errors.js'
import type { Handover, UsageCounts } from './handover.js'
import type { TokenPolicy } from './policy-fields.js'

/** Options of anything that waits. */
export interface AbortOptions {
  readonly signal?: AbortSignal | undefined
}

/** A timer that has not fired yet. */
export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void
}

export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  now(): number
  /** Unix milliseconds of the calendar: it may jump. */
  wallTime(): number
  /** Runs `callback` once, `delayMs` from now. A pending timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer
}

export interface Crypto {
  /** `length` bytes from a CSPRNG. */
  randomBytes(length: number): Uint8Array
  /** 32 bytes. */
  sha256(data: Uint8Array): Uint8Array
}

/**
 * Inflates one gzip member.
 * @throws {LinkSocksError} ERR_MESSAGE_INVALID (not gzip), ERR_MESSAGE_TOO_LARGE (more than `maxBytes` come out)
 */
export type Inflate = (data: Uint8Array, maxBytes: number) => Promise<Uint8Array>

/** A user name and its password, as texts (RFC 1929, RFC 7617). */
export interface Credentials {
  readonly username: string
  readonly password: string
}

/** A destination as SOCKS and the wire name it: `host` is IP text (IPv6 without brackets) or a domain. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** An address of this machine or of a peer, after resolution: `host` is IP text without brackets or zone. */
export interface SocketAddress {
  readonly host: string
  readonly port: number
}

/** An address of this machine that a connection came in on. */
export interface LocalAddress extends SocketAddress {
  /** Of a link-local address (RFC 4007): what it belongs to on this machine, and on no other. */
  readonly zone?: string | undefined
}

/**
 * Bytes both ways with half-close, as a TCP socket or a channel of a session.
 *
 * Flow control is by accounting, the same in every adapter: whoever receives `data()` calls `consume()` as the
 * bytes are used up, and the stream limits what it delivers beyond that (a socket stops reading, a channel
 * withholds credit). Whoever calls `write()` hears `written()` as the bytes leave and stays within a bound of
 * its own. `pump()` in `streams` joins two streams by just these two calls.
 */
export interface ByteStream {
  /**
   * Begins delivery; called once, and once after each `handBack()`. Until then nothing is delivered and nothing is lost.
   * @throws {TypeError} when there is a handler
   */
  start(handler: ByteStreamHandler): void
  /**
   * Takes the events away from the handler of `start()`, which hears no more: the next `start()` gives them to another
   * one. The only way to a second handler. The new handler gets
   * - `unread` first: the last bytes that were delivered and not consumed, in order, which are now its to consume;
   * - then what came meanwhile, and `end()` and `close()` as well where the earlier handler has heard of them;
   * - `written()` of what is written after this call, and of nothing before.
   * After `close()` or `abort()` nothing of `unread` is delivered; a stream that closed with an error may drop it.
   */
  handBack(unread: readonly Uint8Array[]): void
  /** The next `bytes` of the delivered bytes, in order, are used up; their memory may be reused. */
  consume(bytes: number): void
  /** Queues `chunk`; never refuses. It must stay unchanged until `written()` covers it. Ignored after end, close or abort. */
  write(chunk: Uint8Array): void
  /** Half-close: FIN once everything queued has left; delivery goes on. Idempotent. */
  end(): void
  /** Delivers no more, flushes what is queued, then FIN and gone: an orderly end of both directions. Idempotent. */
  close(): void
  /** Ends both directions at once and drops what is queued (TCP RST). Idempotent. */
  abort(reason: LinkSocksError): void
}

/** None of these may throw. */
export interface ByteStreamHandler {
  /** `chunk` is the consumer's until it calls `consume()` for it. Never empty. */
  data(chunk: Uint8Array): void
  /** The far side half-closed; no `data()` follows. At most once. */
  end(): void
  /** `bytes` of what was given to `write()` have left. */
  written(bytes: number): void
  /**
   * Nothing follows. Exactly once, whoever ended the stream, possibly while `close()` or `abort()` still runs.
   * Without `error` both directions ended in order; with one, bytes may be missing.
   */
  close(error?: LinkSocksError): void
}

/**
 * A UDP socket, or something that stands for one at the far end of a session. Datagrams may be lost: every queue
 * is bounded, drops its oldest and counts what it dropped.
 */
export interface DatagramSocket {
  /** Bytes of the datagrams given to `send()` that went on: no queue here drops them any more. @default nobody counts */
  readonly sentBytes?: number | undefined
  /** Begins delivery; called once. */
  start(handler: DatagramHandler): void
  /** Sends one datagram of at most 65,507 bytes. `destination.host` may be a domain, resolved where the datagram leaves. */
  send(data: Uint8Array, destination: Target): void
  /** Idempotent; `close()` of the handler follows. */
  close(): void
}

/** None of these may throw. */
export interface DatagramHandler {
  /** Bytes of the datagrams it was given that went on. @default all of them */
  readonly passedBytes?: number | undefined
  /** `source.host` is IP text. `data` is the handler's to keep. */
  datagram(data: Uint8Array, source: SocketAddress): void
  /** Nothing follows. Exactly once. */
  close(error?: LinkSocksError): void
}

/** A UDP socket of this machine. */
export interface BoundDatagramSocket extends DatagramSocket {
  /** Handed to the system. */
  readonly sentBytes: number
  readonly address: SocketAddress
}

/** Binds a UDP socket to `host` (IP text of one of this machine's addresses, perhaps with a zone) and a port the system picks. */
export type BindDatagrams = (host: string) => Promise<BoundDatagramSocket>

/** What a client of a proxy port speaks. */
export type ProxyProtocol = 'socks5' | 'socks4' | 'http'

/** Judges what one request, or a datagram of an association, may reach, on top of the egress policy. */
export interface TargetJudge {
  /**
   * Before a look-up. @returns why not, in words for the log and the error; `depends` where the addresses of the name decide; `undefined`
   * to allow any of them
   */
  asked(target: Target, protocol: 'tcp' | 'udp'): string | 'depends' | undefined
  /** An address that `asked` led to. @returns why not, or `undefined` to allow */
  address(asked: string, address: SocketAddress, protocol: 'tcp' | 'udp'): string | undefined
  /** No address of `asked` was left: this is the first that `address()` denied. */
  refused?(asked: string, address: SocketAddress, protocol: 'tcp' | 'udp'): void
}

export interface DialOptions extends AbortOptions {
  /** Whoever dials a name has to ask it about each address. @default everything is allowed */
  readonly judge?: TargetJudge | undefined
  /** Told where a stream was connected to, where that is known. */
  readonly reached?: ((address: SocketAddress) => void) | undefined
  /** What the client who asks speaks. @default unknown */
  readonly inbound?: ProxyProtocol | undefined
  /** What the request counts for where clients share a dialer: the network of its client. @default nothing, it has the dialer for itself */
  readonly source?: string | undefined
}

/** Opens the far end of what a SOCKS client or a peer asked for. */
export interface Dialer {
  /**
   * Opens a stream to `target`. The promise settles when the destination answered, with fast open at once.
   * @throws {LinkSocksError} an ERR_DIAL_* code, ERR_CANCELLED when `signal` aborted, ERR_SESSION_CLOSED
   */
  dial(target: Target, options?: DialOptions): Promise<ByteStream>
  /**
   * Opens a UDP relay: any number of destinations, replies only from addresses already sent to.
   * @throws {LinkSocksError} ERR_DIAL_UNSUPPORTED where the way out carries no UDP; else as dial()
   */
  associate(options?: DialOptions): Promise<DatagramSocket>
}

/**
 * Judges an address about to be dialled or sent to, after name resolution: the one place where egress is decided.
 * @returns why not, in words for the log and the error, or `undefined` to allow.
 */
export type EgressPolicy = (address: SocketAddress, protocol: 'tcp' | 'udp') => string | undefined

/** Destinations that are allowed: those with one of the addresses and one of the ports. */
export interface AccessRule {
  /** CIDR, IP text, `A-B` of two IPs, or `192.168.1.1-255` of a last octet. @default any address */
  readonly addresses?: readonly string[] | undefined
  /** A port, or the first and the last of several. @default any port */
  readonly ports?: readonly (number | readonly [number, number])[] | undefined
}

/** Why a transport ended. */
export interface TransportClose {
  /** RFC 6455 close code; 1006 when the connection ended without a close frame. */
  readonly code: number
  readonly reason: string
  readonly error?: LinkSocksError | undefined
}

/** One WebSocket: whole binary messages, in order, until it closes. */
export interface MessageTransport {
  /** Bytes given to `send()` that have not left yet. */
  readonly bufferedAmount: number
  /**
   * Begins delivery; called once, and once after each `handBack()`. Until then nothing is delivered and nothing is lost.
   * @throws {TypeError} when there is a handler
   */
  start(handler: TransportHandler): void
  /**
   * Takes the events away from the handler of `start()`, which hears no more: the next `start()` gives them to another
   * one. The only way to a second handler. The new handler gets `unread` first, the last messages that were delivered, in
   * order; then what came meanwhile, and `close()` as well where the earlier handler has heard of it. After `abort()`
   * nothing of `unread` is delivered. `sent` is called as ever.
   */
  handBack(unread: readonly Uint8Array[]): void
  /**
   * Queues one binary message: `head` followed by `body`. `head` is the transport's from here on, but for its memory, which
   * `recycle()` may take back where `retain()` would keep it. `body` must stay unchanged until `sent` is called (possibly
   * before `send()` returns, always in the order of the messages). Ignored after close, `sent` is called all the same.
   */
  send(head: Uint8Array, body?: Uint8Array, sent?: () => void): void
  /**
   * Gives back the memory of a delivered message, whole, which nobody may touch from here on. What is not given back is
   * left to the garbage collector.
   */
  recycle(data: Uint8Array): void
  /**
   * Keeps the memory that `data` lies in from being used again until `release()`, whoever gives it back meanwhile.
   * @returns false for memory that this transport doesn't manage
   */
  retain(data: Uint8Array): boolean
  /** After `retain()`, once for each. */
  release(data: Uint8Array): void
  ping(): void
  /** An unsolicited pong (RFC 6455 5.5.3). */
  pong(): void
  /** Stops reading from the network; messages already read may still be delivered. Idempotent. */
  pause(): void
  resume(): void
  /** Sends what is queued, then a close frame; gives the peer a few seconds, then ends the connection. Reads on where it was paused. Idempotent. */
  close(code?: number, reason?: string): void
  /** Ends the connection at once, with the reason that `close()` of the handler tells. Idempotent. */
  abort(reason?: LinkSocksError): void
  /** Gives up a connection that has fallen silent: abort(), unless the transport can get another one. */
  lose(reason: LinkSocksError): void
}

/** None of these may throw. */
export interface TransportHandler {
  /** A binary message, or a text message's bytes. `data` is the handler's to keep. */
  message(data: Uint8Array): void
  /** A frame of any kind arrived (called before `message()`). */
  activity(): void
  /** The answer to the last ping came; not a pong that nobody asked for. */
  pong?(): void
  /** `bufferedAmount` fell. */
  drain(): void
  /** Nothing follows. Exactly once. */
  close(info: TransportClose): void
  /** The connection is lost and may come back: until `resumed()` nothing comes, and what is sent waits. */
  suspended?(reason: LinkSocksError): void
  /** After `suspended()`: nothing was lost. */
  resumed?(): void
  /** The peer is about to shut down. */
  draining?(): void
}

/**
 * Calls back at each moment at which a connection that failed may work again: a network came up, or the machine woke up.
 * @returns what ends that
 */
export type WatchWake = (onWake: () => void) => () => void

/**
 * Resolves a domain to IP texts in the order the system prefers; IP text resolves to itself.
 * @throws {LinkSocksError} ERR_DIAL_HOST_UNREACHABLE (no such name), ERR_DIAL_FAILED (resolver trouble), ERR_CANCELLED
 */
export type Resolve = (host: string, options?: AbortOptions) => Promise<readonly string[]>

/**
 * Connects one TCP socket to one address; no name resolution, no timeout of its own.
 * @throws {LinkSocksError} ERR_DIAL_REFUSED, _HOST_UNREACHABLE, _NETWORK_UNREACHABLE, _TIMEOUT, _FAILED, ERR_CANCELLED
 */
export type ConnectTcp = (address: SocketAddress, options?: AbortOptions) => Promise<ByteStream>

/** One token as it outlives the server. */
export interface TokenRecord {
  /** 24 lower-case hex digits; never used twice. */
  readonly id: string
  readonly type: 'forward' | 'reverse' | 'connector'
  readonly token: string
  /** Unix time in milliseconds. */
  readonly createdAt: number
  readonly label?: string | undefined
  readonly enabled: boolean
  /** Unix time in milliseconds. */
  readonly expiresAt?: number | undefined
  /** Of a reverse token: the SOCKS port it was given. */
  readonly port?: number | undefined
  /** Of a reverse token: what its SOCKS port asks for. */
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Of a reverse token: each provider manages connector tokens of its own. */
  readonly autonomy?: boolean | undefined
  /** Of a connector token: the text of its reverse token. */
  readonly reverseToken?: string | undefined
  /** What it may be used for; never empty. */
  readonly rules?: readonly AccessRule[] | undefined
  /** Never without a limit. */
  readonly policy?: TokenPolicy | undefined
}

/** What a token used. */
export interface TokenUsage extends UsageCounts {
  /** When counting began, in Unix milliseconds. */
  readonly since: number
}

/** The access rules of a whole server; an absent side limits nothing. */
export interface ServerAccessRules {
  /** What SOCKS ports of reverse tokens without rules of their own let through. */
  readonly entry?: readonly AccessRule[] | undefined
  /** What is dialled for forward clients. */
  readonly dial?: readonly AccessRule[] | undefined
}

/** What one write does: first it removes, then it puts. */
export interface TokenChanges {
  /** A record whose id is known replaces that one in its place; others go to the end. */
  readonly put?: readonly TokenRecord[] | undefined
  /** Ids; those that are not there are passed over. */
  readonly remove?: readonly string[] | undefined
  /** Takes the place of what is kept for the server as a whole. */
  readonly access?: ServerAccessRules | undefined
  /** By ids of tokens; what a removed token used goes with it. */
  readonly usage?: Readonly<Record<string, TokenUsage>> | undefined
  /** Name of the {@link LeftGrowth} that `usage` includes: it is not found again. */
  readonly taken?: string | undefined
}

/** Keeps tokens. One server at a time has it open. */
export interface TokenStore {
  /** Whether what is written outlives the process. */
  readonly durable: boolean
  /**
   * All records, in the order in which they were first put. Optional fields that were `undefined` are absent.
   * @throws {LinkSocksError} ERR_STORE (damaged, or after close())
   */
  load(): Promise<readonly TokenRecord[]>
  /**
   * The rules of the server as they were last written; none in a new store.
   * @throws {LinkSocksError} ERR_STORE (damaged, or after close())
   */
  loadAccess(): Promise<ServerAccessRules>
  /**
   * What tokens used, by their ids, as it was last written.
   * @throws {LinkSocksError} ERR_STORE (damaged, or after close())
   */
  loadUsage(): Promise<ReadonlyMap<string, TokenUsage>>
  /**
   * All or nothing, and on disk when it resolves, if the store is durable. Writes happen in the order of their calls.
   * @throws {LinkSocksError} ERR_NOT_STORED (nothing changed; a later write may succeed), ERR_STORE (after close())
   */
  write(changes: TokenChanges): Promise<void>
  /** @returns `undefined` for a store that does not outlive the process. @throws {LinkSocksError} ERR_STORE */
  handover(): Promise<Handover | undefined>
  /** Lets the writes that were called before finish. Idempotent. */
  close(): Promise<void>
}
