import { isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { addressText } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { type ProxyUrl, parseProxyUrl } from '../../exit/proxy/proxy-url.js'
import type { Target } from '../../ports.js'
import { errorCode } from '../system/error-code.js'
import { keyPin, parseKeyPin } from '../tls/key-pins.js'

import { connectStep } from './connect-step.js'
import { askProxy } from './proxy-handshake.js'
import { type NamedProxy, type ServerProxyOptions, serverProxyFor } from './server-proxy.js'
import { connectToFirst, resolveHost } from './socket-connect.js'
import { clientContext } from './trusted-authorities.js'

export interface TlsOptions {
  /** PEM of certificate authorities to trust instead of the system's. */
  readonly ca?: string | undefined
  /** SNI and certificate name, when it is not the URL's host. */
  readonly serverName?: string | undefined
  /** Accept any certificate; with `pinSha256` the key alone decides. @default false */
  readonly insecure?: boolean | undefined
  /** PEM of the certificate that this client shows, with its chain; goes with `key`. @default none */
  readonly cert?: string | undefined
  /** PEM of its key, not encrypted. */
  readonly key?: string | undefined
  /**
   * SHA-256 of public keys (SubjectPublicKeyInfo), as base64 or hex: the server has to have one of them, besides a good certificate.
   * @default any key
   */
  readonly pinSha256?: readonly string[] | undefined
}

/** Milliseconds each step of reaching a server may take. */
export interface PhaseTimeouts {
  /** Name resolution of the server or its proxy. @default 10_000 */
  readonly lookupMs?: number | undefined
  /** TCP, to the server or its proxy. @default 10_000 */
  readonly connectMs?: number | undefined
  /** The proxy's answer, its own connection to the server included. @default 10_000 */
  readonly proxyMs?: number | undefined
  /** @default 10_000 */
  readonly tlsMs?: number | undefined
  /** From the request to the switch of protocols. @default 10_000 */
  readonly upgradeMs?: number | undefined
}

export const DEFAULT_PHASE_TIMEOUTS = {
  lookupMs: 10_000,
  connectMs: 10_000,
  proxyMs: 10_000,
  tlsMs: 10_000,
  upgradeMs: 10_000,
} as const

export interface ServerSocketOptions extends ServerProxyOptions {
  readonly tls?: TlsOptions | undefined
  readonly timeouts?: PhaseTimeouts | undefined
}

/** Whether the URL (ws, wss, http or https) asks for TLS. */
function isSecure({ protocol }: URL): boolean {
  return protocol === 'wss:' || protocol === 'https:'
}

/** A URL without its query, which may hold a secret. */
export function shownUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** The same without the path. */
export function shownOrigin(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

/**
 * Opens the connection to the server at `url` (ws, wss, http or https): through a proxy or directly, with TLS for wss and
 * https.
 * @throws {LinkSocksError} ERR_CONNECT, naming the step that failed; ERR_OPTION for a proxy that can't be read; the
 *   reason of `signal`
 */
export async function openServerSocket(
  url: string,
  options: ServerSocketOptions,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const target = targetOf(url)
  const named = serverProxyFor(url, options)
  const socket =
    named === undefined
      ? await connectPhase(target, `cannot reach ${shownOrigin(url)}`, options, signal)
      : await throughProxy(parseNamed(named), target, options, signal)
  if (!isSecure(new URL(url))) return socket
  return tlsPhase(socket, target, options, signal)
}

/** The text may hold a password: the error names where it came from instead. */
function parseNamed({ url, variable }: NamedProxy): ProxyUrl {
  try {
    return parseProxyUrl(url)
  } catch (thrown) {
    const cause = LinkSocksError.from(thrown, 'ERR_OPTION')
    const advice = variable === undefined ? '' : '; -E (--no-env-proxy) ignores the proxy variables'
    throw new LinkSocksError(cause.code, `${variable ?? 'serverProxy'}: ${cause.message}${advice}`, { cause })
  }
}

function targetOf(url: string): Target {
  const parsed = new URL(url)
  const { hostname, port } = parsed
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  return { host, port: port === '' ? (isSecure(parsed) ? 443 : 80) : Number(port) }
}

async function throughProxy(
  proxy: ProxyUrl,
  target: Target,
  options: ServerSocketOptions,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const name = `proxy ${proxy.protocol}://${addressText(proxy)}`
  const socket = await connectPhase(proxy, `cannot reach the ${name}`, options, signal)
  const problem = `the ${name} gave no connection to ${addressText(target)}`
  const timeoutMs = options.timeouts?.proxyMs ?? DEFAULT_PHASE_TIMEOUTS.proxyMs
  return connectStep(problem, { timeoutMs, signal, socket }, async (deadline) => {
    await askProxy(socket, proxy, target, deadline)
    return socket
  })
}

async function connectPhase(
  target: Target,
  problem: string,
  { timeouts }: ServerSocketOptions,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const lookupMs = timeouts?.lookupMs ?? DEFAULT_PHASE_TIMEOUTS.lookupMs
  const lookup = { timeoutMs: lookupMs, step: 'looking up the name', signal }
  const addresses = await connectStep(problem, lookup, (deadline) => resolveHost(target, { signal: deadline }))
  const timeoutMs = timeouts?.connectMs ?? DEFAULT_PHASE_TIMEOUTS.connectMs
  return connectStep(problem, { timeoutMs, signal }, (deadline) => connectToFirst(addresses, { signal: deadline }))
}

function tlsPhase(
  socket: Socket,
  target: Target,
  { tls = {}, timeouts }: ServerSocketOptions,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const name = tls.serverName ?? target.host
  const timeoutMs = timeouts?.tlsMs ?? DEFAULT_PHASE_TIMEOUTS.tlsMs
  return connectStep(`TLS with ${addressText(target)} failed`, { timeoutMs, signal, socket }, (deadline) => {
    const secure = connectTls({
      socket,
      host: name,
      // RFC 6066 section 3: no address in SNI
      ...(isIP(name) === 0 ? { servername: name } : {}),
      secureContext: clientContext(tls),
      rejectUnauthorized: tls.insecure !== true,
      ALPNProtocols: ['http/1.1'],
    })
    return secured(secure, tls.pinSha256, deadline)
  })
}

function secured(socket: TLSSocket, pins: readonly string[] | undefined, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('close', onClose)
    }
    const onAbort = (): void => {
      settle()
      socket.destroy()
      reject(LinkSocksError.cancelled(signal))
    }
    const onClose = (): void => {
      settle()
      reject(new LinkSocksError('ERR_CONNECT', 'the connection was closed'))
    }
    signal.addEventListener('abort', onAbort)
    socket.on('close', onClose)
    // stays, as long as the connection: an error after this step shows as 'close'
    socket.on('error', (error) => {
      settle()
      reject(new LinkSocksError('ERR_CONNECT', tlsProblem(error), { cause: error }))
    })
    socket.once('secureConnect', () => {
      settle()
      const problem = pinProblem(socket, pins)
      if (problem === undefined) return resolve(socket)
      socket.destroy()
      reject(new LinkSocksError('ERR_CONNECT', problem))
    })
  })
}

/** Before anything is sent. */
function pinProblem(socket: TLSSocket, pins: readonly string[] | undefined): string | undefined {
  if (pins === undefined || pins.length === 0) return undefined
  const certificate = socket.getPeerX509Certificate()
  const pin = certificate === undefined ? 'none' : keyPin(certificate)
  if (pins.some((known) => parseKeyPin(known) === pin)) return undefined
  return `the server's key is none of those that are pinned: its SHA-256 is ${pin}`
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

const NO_TLS = 'that port does not speak TLS; for a server without it write ws://host:port'

function tlsProblem(error: Error): string {
  const code = errorCode(error)
  if (UNTRUSTED.has(code))
    return `the certificate is not trusted (${error.message}); name its authority by --ca-file (tls.ca) or NODE_EXTRA_CA_CERTS`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'the certificate is for another name'
  if (code === 'CERT_HAS_EXPIRED') return 'the certificate has expired'
  // a server of ours ends TLS on a port that has none without a word
  if (code === 'ECONNRESET') return `the connection was closed; perhaps ${NO_TLS}`
  if (code === 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' || code === 'ERR_SSL_TLSV1_ALERT_UNRECOGNIZED_NAME') {
    return 'the server has no certificate for that name yet'
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return NO_TLS
  }
  return code === '' ? error.message : code
}
