import { canonicalHost } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type {
  BindDatagrams,
  BoundDatagramSocket,
  Clock,
  DatagramHandler,
  DatagramSocket,
  SocketAddress,
  Target,
} from '../ports.js'
import { MAX_DATAGRAM_BYTES } from '../protocol/limits.js'
import { Rep, repOf } from '../protocol/rep.js'
import type { HandshakeStream } from '../streams/handshake-stream.js'
import { encodeReply } from './codec.js'
import { flushAndClose, openFor, type ServeSocksOptions, type SocksConnection, sourceOf } from './connection.js'
import { decodeDatagram, encodeDatagram } from './datagram.js'

/**
 * UDP ASSOCIATE (RFC 1928 sections 4 and 7): opens the far end, binds a socket to the address the control connection came
 * in on, answers with it, and relays datagrams until the control connection, the far end or the socket ends.
 * @throws {LinkSocksError} what opening failed with, after it was answered
 */
export async function serveAssociation(
  connection: SocksConnection,
  requested: Target,
  bindDatagrams: BindDatagrams,
): Promise<void> {
  const { handshake, options } = connection
  let ends: Ends
  try {
    ends = await openFor(handshake, (signal) => open(options, bindDatagrams, signal))
  } catch (thrown) {
    const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
    handshake.write(encodeReply(repOf(error)))
    throw error
  }
  const bound = { host: canonicalHost(options.localAddress().host), port: ends.local.address.port }
  handshake.write(encodeReply(Rep.Succeeded, bound))
  const { host } = options.remoteAddress
  const strict = options.udpStrictPort === true ? { port: portOf(requested, host) } : undefined
  const association = new Association(ends, host, strict)
  await association.run(handshake, options.clock)
  options.log.debug('socks.association.closed', { client: options.remoteAddress.host, ...association.counters })
}

/** DST.PORT is where the client will send from, if DST.ADDR can be the client: many write their target there. 0 is any. */
function portOf(requested: Target, ownerHost: string): number {
  const host = canonicalHost(requested.host)
  const own = host === '0.0.0.0' || host === '::' || host === canonicalHost(ownerHost)
  return own ? requested.port : 0
}

interface Ends {
  readonly far: DatagramSocket
  readonly local: BoundDatagramSocket
}

async function open(options: ServeSocksOptions, bindDatagrams: BindDatagrams, signal: AbortSignal): Promise<Ends> {
  const far = await options.dialer.associate({ signal, source: sourceOf(options), inbound: 'socks5' })
  try {
    if (signal.aborted) throw LinkSocksError.cancelled(signal)
    const { host, zone } = options.localAddress()
    const local = await bindDatagrams(zone === undefined ? canonicalHost(host) : `${host}%${zone}`)
    if (!signal.aborted) return { far, local }
    local.close()
    throw LinkSocksError.cancelled(signal)
  } catch (error) {
    far.close()
    throw error
  }
}

/** Datagrams one association relayed and dropped. */
interface Counters {
  sent: number
  received: number
  /** From another address than the owner's. */
  foreign: number
  /** Too short for their header, or with an address nobody can read. */
  malformed: number
  /** FRAG was not 0. */
  fragments: number
  /** Came back before the client sent anything. */
  unowned: number
  /** Came back too large for one datagram with its header. */
  oversized: number
}

/**
 * Relays between the client's UDP socket and the far end. Whatever comes from the client's host is the client's, and answers go to
 * the port it sent from last: NATs and resolvers change it. Where the port is strict, the first whole datagram settles it.
 */
class Association {
  readonly counters: Counters = {
    sent: 0,
    received: 0,
    foreign: 0,
    malformed: 0,
    fragments: 0,
    unowned: 0,
    oversized: 0,
  }
  readonly #far: DatagramSocket
  readonly #local: BoundDatagramSocket
  readonly #ownerHost: string
  /** The one port that counts, 0 for the first one seen; absent where all do. */
  readonly #strict: { readonly port: number } | undefined
  #owner: SocketAddress | undefined

  constructor({ far, local }: Ends, ownerHost: string, strict: { readonly port: number } | undefined) {
    this.#far = far
    this.#local = local
    this.#ownerHost = canonicalHost(ownerHost)
    this.#strict = strict
  }

  /** Settles when the control connection and both sockets are closed; the first of them to end ends the others. */
  async run(handshake: HandshakeStream, clock: Clock): Promise<void> {
    const controlEnded = readToEnd(handshake)
    const localClosed = relay(this.#local, (data, source) => this.#fromClient(data, source))
    const farClosed = relay(this.#far, (data, source) => this.#fromFar(data, source))
    await Promise.race([controlEnded, localClosed, farClosed])
    this.#local.close()
    this.#far.close()
    await Promise.all([localClosed, farClosed, flushAndClose(handshake, clock)])
  }

  #fromClient(data: Uint8Array, source: SocketAddress): void {
    if (!this.#mayUse(source)) {
      this.counters.foreign++
      return
    }
    const datagram = attempt(() => decodeDatagram(data))
    if (datagram === undefined) {
      this.counters.malformed++
    } else if (datagram.frag !== 0) {
      this.counters.fragments++
    } else {
      const { host, port } = source
      if (this.#owner?.port !== port || this.#owner.host !== host) this.#owner = { host, port }
      this.counters.sent++
      this.#far.send(datagram.data, datagram.address)
    }
  }

  #fromFar(data: Uint8Array, source: SocketAddress): void {
    if (this.#owner === undefined) {
      this.counters.unowned++
      return
    }
    const datagram = attempt(() => encodeDatagram(source, data))
    if (datagram === undefined) {
      this.counters.malformed++
    } else if (datagram.length > MAX_DATAGRAM_BYTES) {
      this.counters.oversized++
    } else {
      this.counters.received++
      this.#local.send(datagram, this.#owner)
    }
  }

  #mayUse({ host, port }: SocketAddress): boolean {
    const only = this.#strict && (this.#owner?.port ?? this.#strict.port)
    if (only !== undefined && only !== 0 && port !== only) return false
    return host === this.#owner?.host || canonicalHost(host) === this.#ownerHost
  }
}

/** Starts `socket`; settles when it is closed. */
function relay(socket: DatagramSocket, datagram: DatagramHandler['datagram']): Promise<void> {
  return new Promise((resolve) => socket.start({ datagram, close: () => resolve() }))
}

/** Settles when nothing more comes on the control connection; what does come means nothing. */
async function readToEnd(control: HandshakeStream): Promise<void> {
  try {
    while (true) await control.read((buf) => ({ value: undefined, bytesRead: buf.length }))
  } catch {
    // the client half-closed it, or it is gone
  }
}

/** `undefined` when `codec` throws: whatever arrives must not end the association. */
function attempt<T>(codec: () => T): T | undefined {
  try {
    return codec()
  } catch {
    return undefined
  }
}
