import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIP } from 'node:net'
import { isLinkLocalIpv6, MAX_PORT, socketIp, socketZone } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { BindDatagrams, BoundDatagramSocket, DatagramHandler, SocketAddress, Target } from '../../ports.js'
import { MAX_DATAGRAM_BYTES, MIB } from '../../protocol/limits.js'
import { errorCode } from '../system/error-code.js'
import { DatagramQueue } from './datagram-queue.js'
import { listenError } from './listen.js'

/** Asked of the kernel for each direction, which grants what its own limits allow: room for bursts of large datagrams. */
const SOCKET_BUFFER_BYTES = 4 * MIB
/** Datagrams handed to the system at a time; it can't give them back, so the others wait where the oldest can be dropped. */
export const MAX_IN_FLIGHT = 16

/** The network's answers to single datagrams; the socket goes on. */
const PASSING_ERRORS: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EMSGSIZE'],
  ...['EACCES', 'EPERM', 'EAGAIN', 'ENOBUFS', 'ENOMEM', 'EINTR', 'EPROTO'],
])

/** Binds a UDP socket; ERR_LISTEN when the system refuses. See {@link BindDatagrams}. */
export const bindDatagrams = async (host: string): Promise<UdpSocket> => {
  const family = isIP(host)
  if (family === 0) throw new LinkSocksError('ERR_LISTEN', 'UDP sockets are bound to an IP address')
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    // destinations are IP text: no look-up, and thus no wait, between send() and the system
    lookup: (address, _options, callback) => callback(null, address, family),
  })
  await bound(socket, host)
  enlargeBuffers(socket)
  return new UdpSocket(socket, family)
}
bindDatagrams satisfies BindDatagrams

/** A bound UDP socket; destinations must be IP text of its own family. */
export class UdpSocket implements BoundDatagramSocket {
  readonly address: SocketAddress
  readonly #socket: Socket
  readonly #family: number
  /** Of a link-local address: where its link-local peers are. */
  readonly #zone: string | undefined
  readonly #toSend = new DatagramQueue()
  /** What arrived before start(). */
  readonly #early = new DatagramQueue()
  #handler: DatagramHandler | undefined
  #inFlight = 0
  #sentBytes = 0
  #unsendable = 0
  #closing = false
  #closed = false
  #error: LinkSocksError | undefined

  /** For bindDatagrams(): `socket` is bound. */
  constructor(socket: Socket, family: number) {
    this.#socket = socket
    this.#family = family
    const { address, port } = socket.address()
    this.address = { host: socketIp(address), port }
    this.#zone = socketZone(address)
    socket.on('message', (data, source) => this.#onMessage(data, source))
    socket.on('error', (error) => this.#onError(error))
    socket.on('close', () => this.#onClose())
  }

  /** Datagrams that were never sent or delivered: a queue was full, the destination unusable, or the system refused. */
  get dropped(): number {
    return this.#toSend.dropped + this.#early.dropped + this.#unsendable
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  start(handler: DatagramHandler): void {
    this.#handler = handler
    queueMicrotask(() => {
      for (let next = this.#early.shift(); next !== undefined; next = this.#early.shift()) {
        if (!this.#closing) handler.datagram(next.data, next.address)
      }
      if (this.#closed) handler.close(this.#error)
    })
  }

  send(data: Uint8Array, destination: Target): void {
    if (this.#closing) return
    if (!this.#canReach(data, destination)) {
      this.#unsendable++
      return
    }
    this.#toSend.push(data, destination)
    this.#sendQueued()
  }

  close(): void {
    if (this.#closing) return
    this.#closing = true
    this.#toSend.clear()
    this.#socket.close()
  }

  #canReach(data: Uint8Array, { host, port }: Target): boolean {
    return isIP(host) === this.#family && port > 0 && port <= MAX_PORT && data.byteLength <= MAX_DATAGRAM_BYTES
  }

  #sendQueued(): void {
    while (this.#inFlight < MAX_IN_FLIGHT) {
      const next = this.#toSend.shift()
      if (next === undefined) return
      this.#inFlight++
      this.#sentBytes += next.data.byteLength
      this.#socket.send(next.data, next.address.port, this.#zoned(next.address.host), this.#onSent)
    }
  }

  #zoned(host: string): string {
    const bare = this.#zone !== undefined && isLinkLocalIpv6(host) && socketZone(host) === undefined
    return bare ? `${host}%${this.#zone}` : host
  }

  readonly #onSent = (error: Error | null): void => {
    this.#inFlight--
    if (error !== null) this.#unsendable++
    if (!this.#closing) this.#sendQueued()
  }

  #onMessage(data: Buffer, source: RemoteInfo): void {
    if (this.#closing) return
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const address = { host: socketIp(source.address), port: source.port }
    if (this.#handler === undefined || this.#early.length > 0) this.#early.push(bytes, address)
    else this.#handler.datagram(bytes, address)
  }

  #onError(error: Error): void {
    if (PASSING_ERRORS.has(errorCode(error)) || this.#closing) return
    this.#error = new LinkSocksError('ERR_STREAM_RESET', `the UDP socket failed: ${errorCode(error)}`, { cause: error })
    this.close()
  }

  #onClose(): void {
    this.#closed = true
    this.#handler?.close(this.#error)
  }
}

function bound(socket: Socket, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      socket.close()
      reject(listenError(error, host, 0))
    }
    socket.once('error', onError)
    socket.bind({ address: host, port: 0, exclusive: true }, () => {
      socket.off('error', onError)
      resolve()
    })
  })
}

function enlargeBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES)
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
  } catch {
    // some systems refuse where others cut down: the default sizes serve then
  }
}
