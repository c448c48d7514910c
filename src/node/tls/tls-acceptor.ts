import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { errorCode } from '../system/error-code.js'
import type { CertificatePair } from './certificate-pair.js'
import type { CertificateTable } from './certificate-table.js'
import { type ClientHello, readClientHello, TLS_HANDSHAKE } from './client-hello.js'
import { lookAtFirstBytes } from './first-bytes.js'

/** From the beginning of a connection to the end of its TLS handshake. */
export const TLS_HANDSHAKE_TIMEOUT_MS = 10_000

/** What is spoken inside. */
const HTTP = 'http/1.1'
/** A validation of a name, with nothing inside (RFC 8737 section 3). */
export const ACME_PROTOCOL = 'acme-tls/1'
/** The fatal alert unrecognized_name (RFC 6066 section 3, RFC 8446 section 6.2), before anything is encrypted. */
const UNRECOGNIZED_NAME = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 112)

export interface ClientAuthentication {
  /** PEM of the authorities that sign the certificates of clients. */
  readonly ca: string
}

export interface TlsAcceptorOptions {
  readonly certificates: CertificateTable
  /** What certificates of clients are judged by; another object from then on holds for connections that come then. @default none is asked for */
  readonly clients?: (() => ClientAuthentication | undefined) | undefined
  /** Takes a connection whose handshake is done. */
  readonly secured: (socket: TLSSocket, raw: Socket) => void
  /** Answers what is no TLS; its first bytes are unread. */
  readonly plain: (raw: Socket) => void
  /** Hears of handshakes that failed; their connections are ended. */
  readonly rejected: (reason: string, raw: Socket) => void
  /** @default {@link TLS_HANDSHAKE_TIMEOUT_MS} */
  readonly timeoutMs?: number | undefined
}

/** A connection that has not finished its handshake. */
interface Handshake {
  readonly raw: Socket
  readonly timer: NodeJS.Timeout
}

/** Does the TLS handshakes of connections, with the certificate for the name that each asks for. */
export class TlsAcceptor {
  readonly #options: TlsAcceptorOptions
  /**
   * One for each certificate; none listens. Node's choice by SNICallback would add the chosen key to that of the server, and where one is
   * RSA and the other ECDSA take the wrong one.
   */
  #servers = new WeakMap<CertificatePair, Server>()
  /** What those were made with. */
  #clients: ClientAuthentication | undefined
  /** By the addresses of both ends: Node does not tell which connection a TLS socket stands on. */
  readonly #handshakes = new Map<string, Handshake>()

  constructor(options: TlsAcceptorOptions) {
    this.#options = options
  }

  /** @param raw was just accepted, and nothing of it read */
  accept(raw: Socket): void {
    const { timeoutMs = TLS_HANDSHAKE_TIMEOUT_MS, plain } = this.#options
    // reset meanwhile: without an address it would be taken for another one
    if (raw.destroyed || raw.remotePort === undefined) return void raw.on('error', () => {}).destroy()
    const key = endsOf(raw)
    const timer = setTimeout(() => this.#fail(raw, `no TLS handshake within ${timeoutMs / 1_000} s`), timeoutMs)
    this.#handshakes.set(key, { raw, timer })
    // 'close' follows
    raw.on('error', () => {})
    raw.once('close', () => this.#settle(key, raw))
    let hello: ClientHello | undefined
    const needed = (bytes: Uint8Array): number => {
      if (bytes[0] !== TLS_HANDSHAKE) return 0
      const found = readClientHello(bytes)
      if (typeof found === 'number') return found
      hello = found
      return 0
    }
    lookAtFirstBytes(raw, needed, ([first]) => {
      if (first === TLS_HANDSHAKE) return this.#handshake(raw, hello)
      this.#settle(key, raw)
      plain(raw)
    })
  }

  #settle(key: string, raw: Socket): void {
    const handshake = this.#handshakes.get(key)
    if (handshake?.raw !== raw) return
    clearTimeout(handshake.timer)
    this.#handshakes.delete(key)
  }

  #fail(raw: Socket, reason: string): void {
    this.#options.rejected(reason, raw)
    raw.destroy()
  }

  #handshake(raw: Socket, hello: ClientHello | undefined): void {
    const { certificates, rejected } = this.#options
    const { serverName, protocols = [] } = hello ?? {}
    const isValidation = protocols.includes(ACME_PROTOCOL)
    const pair = isValidation ? certificates.challenge(serverName ?? '') : certificates.choose(serverName)
    if (pair !== undefined) {
      // until it is done: a handshake whose client has ended is over
      raw.allowHalfOpen = false
      return void (isValidation ? this.#validator(pair) : this.#serverOf(pair)).emit('connection', raw)
    }
    const name = serverName ?? 'no name'
    rejected(isValidation ? `nothing validates ${name} now` : `no certificate is there yet (asked for ${name})`, raw)
    raw.end(UNRECOGNIZED_NAME, () => raw.destroy())
  }

  #serverOf(pair: CertificatePair): Server {
    const clients = this.#options.clients?.()
    if (clients !== this.#clients) this.#servers = new WeakMap()
    this.#clients = clients
    const known = this.#servers.get(pair)
    if (known !== undefined) return known
    const server = this.#create(pair, HTTP, clients)
    this.#servers.set(pair, server)
    return server
  }

  /** Certificates of clients are not asked for: a validation has none. */
  #validator(pair: CertificatePair): Server {
    const known = this.#servers.get(pair)
    if (known !== undefined) return known
    const server = this.#create(pair, ACME_PROTOCOL, undefined)
    this.#servers.set(pair, server)
    return server
  }

  #create(pair: CertificatePair, protocol: string, clients: ClientAuthentication | undefined): Server {
    const { timeoutMs = TLS_HANDSHAKE_TIMEOUT_MS } = this.#options
    const server = createServer({
      ...{ cert: pair.chain, key: pair.key, ALPNProtocols: [protocol], handshakeTimeout: timeoutMs },
      // Node lets clients of TLS 1.2 ask for a handshake again and again (RFC 5746), which costs them less than the server
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (clients === undefined ? 0 : constants.SSL_OP_NO_TICKET),
      // judged after the handshake: whoever has none is told so by HTTP. A session that is taken up again would bring none.
      ...(clients && { ca: clients.ca, requestCert: true, rejectUnauthorized: false }),
    })
    server.on('secureConnection', (socket) => this.#secured(socket, protocol))
    server.on('tlsClientError', (error, socket) => this.#failed(error, socket))
    return server
  }

  #secured(socket: TLSSocket, protocol: string): void {
    const key = endsOf(socket)
    const raw = this.#handshakes.get(key)?.raw
    // gone meanwhile
    if (raw === undefined) return void socket.destroy()
    this.#settle(key, raw)
    socket.allowHalfOpen = true
    // the certificate was all that was asked for; what was agreed on does not count: a second ClientHello may ask for another protocol, or none
    if (protocol === ACME_PROTOCOL) return void socket.on('error', () => {}).destroySoon()
    this.#options.secured(socket, raw)
  }

  #failed(error: Error, socket: TLSSocket): void {
    const code = errorCode(error)
    // somebody who looked whether the port is open
    if (code !== 'ECONNRESET') this.#options.rejected(handshakeProblem(code, error), socket)
    socket.destroy()
  }
}

function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`
}

function handshakeProblem(code: string, error: Error): string {
  switch (code) {
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return 'TLS: what came is no handshake of version 1.2 or later'
    case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
      return 'TLS: the client speaks an old version only, and 1.2 is the oldest that is taken'
    case 'ERR_SSL_NO_SHARED_CIPHER':
      return 'TLS: the client knows none of the ciphers that are taken'
    case 'ERR_SSL_NO_APPLICATION_PROTOCOL':
      return `TLS: the client speaks no ${HTTP}`
    case 'ERR_TLS_HANDSHAKE_TIMEOUT':
      return 'no TLS handshake in time'
    default:
      return `TLS: ${code === '' ? error.message : code}`
  }
}
