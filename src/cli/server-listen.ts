import { LinkSocksError } from '../errors.js'
import { isCertifiableName, isDirectoryUrl, isMailAddress, MAX_ACME_DOMAINS } from '../node/check-options.js'
import { checkListenAddress, MAX_LISTEN_ADDRESSES, MAX_SOCKS_SOCKETS } from '../node/listen-options.js'
import type { AcmeOptions, ServerOptions, ServerTlsOptions } from '../node/options.js'
import { optionError, type Settings } from './settings/environment.js'
import { longName } from './settings/flags.js'
import { type PassedSockets, passedFailure, replacedBySockets, type SocketName } from './settings/passed-sockets.js'
import type { Notice } from './settings/plan.js'
import {
  ACME_DIRECTORY,
  ACME_DOMAIN,
  ACME_EMAIL,
  ACME_HTTP_LISTEN,
  DATA_DIR,
  LISTEN,
  METRICS_LISTEN,
  TLS_CERT,
  TLS_CLIENT_AUTH,
  TLS_CLIENT_CA,
  TLS_KEY,
  WS_HOST,
  WS_PORT,
} from './settings/server-flags.js'
import { invalid, parseChoice, parseHost, parseHostPort, parsePort, parseText } from './settings/values.js'

/** Where a server listens, and its certificates. */
type ListenPlan = Pick<ServerOptions, 'host' | 'port' | 'listen' | 'tls' | 'acme'>

/** @throws {LinkSocksError} ERR_OPTION naming the flag or variable */
export function readListen(settings: Settings, passed?: PassedSockets): ListenPlan {
  const acme = readAcme(settings, passed)
  const tls = readTlsFiles(settings)
  const hasCertificates = (tls?.certificates ?? []).length > 0 || acme !== undefined
  const sockets = mainSockets(passed, hasCertificates)
  const given = settings.list(LISTEN, (text) => parseListen(text, passed))
  if (given === undefined && sockets.length === 0) {
    return { host: settings.value(WS_HOST, parseHost), port: settings.value(WS_PORT, parsePort), tls, acme }
  }
  const source = settings.source(LISTEN)
  const listen = [...sockets, ...(given ?? [])]
  if (listen.length > MAX_LISTEN_ADDRESSES) {
    throw optionError(source ?? 'LISTEN_FDS', `at most ${MAX_LISTEN_ADDRESSES} addresses`)
  }
  const own = [WS_HOST, WS_PORT].find((flag) => settings.given(flag))
  if (own !== undefined && source !== undefined) throw optionError(longName(own), `cannot be combined with ${source}`)
  checkTlsAddress(settings, listen, tls !== undefined || acme !== undefined)
  return { listen, tls, acme }
}

/** Those of HTTP and WebSockets, as --listen would name them. */
function mainSockets(passed: PassedSockets | undefined, hasCertificates: boolean): readonly string[] {
  return (passed?.sockets ?? []).flatMap(({ fd, name }) => {
    if (name === 'tls' && !hasCertificates) {
      throw optionError('LISTEN_FDNAMES', 'tls needs a certificate: --tls-cert with --tls-key, or --acme-domain')
    }
    if (name !== 'http' && name !== 'tls' && name !== 'main') return []
    const isSecure = name === 'tls' || (name === 'main' && hasCertificates)
    return [`${isSecure ? 'wss' : 'ws'}+fd:${fd}`]
  })
}

/** The sockets for what else a server opens. @throws {LinkSocksError} ERR_OPTION */
export function passedPorts(passed?: PassedSockets): Pick<ServerOptions, 'metricsListen' | 'socksSockets'> {
  if (passed === undefined) return {}
  const socks = passed.sockets.filter(({ name }) => name === 'socks').map(({ fd }) => fd)
  if (socks.length > MAX_SOCKS_SOCKETS)
    throw optionError('LISTEN_FDNAMES', `socks: at most ${MAX_SOCKS_SOCKETS} sockets`)
  const metrics = onlySocket(passed, 'metrics')
  return { ...(metrics && { metricsListen: metrics }), ...(socks.length > 0 && { socksSockets: socks }) }
}

function onlySocket(passed: PassedSockets | undefined, name: SocketName): { readonly fd: number } | undefined {
  const [socket, another] = (passed?.sockets ?? []).filter((one) => one.name === name)
  if (another !== undefined) throw optionError('LISTEN_FDNAMES', `${name}: one socket at most`)
  return socket && { fd: socket.fd }
}

/** Flags and variables in whose place a socket was passed. */
export function socketNotices(settings: Settings, passed?: PassedSockets): readonly Notice[] {
  if (passed === undefined) return []
  const has = (...names: readonly SocketName[]): boolean => passed.sockets.some(({ name }) => names.includes(name))
  const replaced = [
    ...(has('http', 'tls', 'main') ? [WS_HOST, WS_PORT] : []),
    ...(has('metrics') ? [METRICS_LISTEN] : []),
    ...(has('acme') ? [ACME_HTTP_LISTEN] : []),
  ]
  return [...passed.notices, ...replacedBySockets(settings, replaced)]
}

/** A listening address with TLS and certificates go together. */
function checkTlsAddress(settings: Settings, listen: readonly string[], hasCertificates: boolean): void {
  const isSecure = listen.some((address) => /^wss[:+]/i.test(address))
  if (isSecure && !hasCertificates) {
    throw optionError(
      settings.source(LISTEN) ?? '',
      'wss:// needs a certificate: --tls-cert with --tls-key, or --acme-domain',
    )
  }
  const given = [TLS_CERT, ACME_DOMAIN].find((flag) => settings.source(flag) !== undefined)
  if (given === undefined || isSecure) return
  throw optionError(settings.source(given) ?? '', 'needs an address with TLS: --listen wss://HOST:PORT')
}

function readTlsFiles(settings: Settings): ServerTlsOptions | undefined {
  const certs = settings.list(TLS_CERT, parseText) ?? []
  const keys = settings.list(TLS_KEY, parseText) ?? []
  const [few, other] = certs.length < keys.length ? [TLS_CERT, TLS_KEY] : [TLS_KEY, TLS_CERT]
  if (certs.length !== keys.length) {
    throw optionError(settings.source(other) ?? '', `needs ${longName(few)} as often, in the same order`)
  }
  const clientCaFile = settings.value(TLS_CLIENT_CA, parseText)
  const clientAuth = settings.value(TLS_CLIENT_AUTH, (text) => parseChoice(text, ['required', 'optional'] as const))
  if (clientAuth !== undefined && clientCaFile === undefined) {
    throw optionError(settings.source(TLS_CLIENT_AUTH) ?? '', `needs ${longName(TLS_CLIENT_CA)}`)
  }
  const hasTls = certs.length > 0 || settings.source(ACME_DOMAIN) !== undefined
  if (clientCaFile !== undefined && !hasTls) {
    throw optionError(settings.source(TLS_CLIENT_CA) ?? '', 'needs TLS: --tls-cert with --tls-key, or --acme-domain')
  }
  if (certs.length === 0 && clientCaFile === undefined) return undefined
  const certificates = certs.map((certFile, index) => ({ certFile, keyFile: keys[index] ?? '' }))
  return { certificates, clientCaFile, clientAuth }
}

function readAcme(settings: Settings, passed: PassedSockets | undefined): AcmeOptions | undefined {
  const domains = settings.list(ACME_DOMAIN, parseDomain)
  const others = [ACME_EMAIL, ACME_DIRECTORY, ACME_HTTP_LISTEN]
  if (domains === undefined) {
    const given = others.find((flag) => settings.given(flag))
    const socket = onlySocket(passed, 'acme')
    if (given !== undefined) throw optionError(longName(given), `needs ${longName(ACME_DOMAIN)}`)
    if (socket !== undefined) throw optionError('LISTEN_FDNAMES', `acme needs ${longName(ACME_DOMAIN)}`)
    return undefined
  }
  if (settings.source(DATA_DIR) === undefined) {
    throw optionError(
      settings.source(ACME_DOMAIN) ?? '',
      `needs ${longName(DATA_DIR)}, where account and certificates are kept`,
    )
  }
  const source = settings.source(ACME_DOMAIN) ?? ''
  if (new Set(domains).size < domains.length) throw optionError(source, 'each name once')
  if (domains.length > MAX_ACME_DOMAINS) throw optionError(source, `at most ${MAX_ACME_DOMAINS} names`)
  return {
    domains,
    email: settings.value(ACME_EMAIL, parseEmail),
    directory: settings.value(ACME_DIRECTORY, parseDirectory),
    httpListen:
      onlySocket(passed, 'acme') ??
      settings.value(ACME_HTTP_LISTEN, (text) => (text === 'none' ? false : parseHostPort(text))),
  }
}

/** What a server threw that could not listen, with the flag that named the address, where it is not that of -H and -P. */
export function listenFailure(
  thrown: unknown,
  { listen, acme, metricsListen }: ServerOptions,
  passed?: PassedSockets,
): unknown {
  if (!(thrown instanceof LinkSocksError) || thrown.code !== 'ERR_LISTEN') return thrown
  const failure = passedFailure(thrown, passed)
  if (failure !== thrown) return failure
  const others = [
    [METRICS_LISTEN, metricsListen],
    [ACME_HTTP_LISTEN, acme?.httpListen || undefined],
  ] as const
  const isAt = (at: (typeof others)[number][1]): boolean =>
    at !== undefined && 'port' in at && thrown.message.includes(`port ${at.port} on ${at.host}`)
  const other = others.find(([, at]) => isAt(at))
  const flag = other?.[0] ?? (listen === undefined ? undefined : LISTEN)
  if (flag === undefined) return thrown
  return new LinkSocksError(thrown.code, `${longName(flag)}: ${thrown.message}`, { cause: thrown })
}

function parseListen(text: string, passed: PassedSockets | undefined): string {
  checkListenAddress(text)
  const socket = passed?.sockets.find(({ fd }) => Number(/\+fd:(?:\/\/)?(\d+)$/i.exec(text)?.[1]) === fd)
  if (socket !== undefined) throw invalid('another address: this socket is one of LISTEN_FDS', text)
  return text
}

function parseDomain(text: string): string {
  const name = text.toLowerCase()
  if (name.startsWith('*.')) throw invalid('a host name without a wildcard, which only DNS could validate', text)
  if (isCertifiableName(name)) return name
  throw invalid('a host name such as relay.example.com', text)
}

function parseEmail(text: string): string {
  if (isMailAddress(text)) return text
  throw invalid('a mail address', text)
}

function parseDirectory(text: string): string {
  if (isDirectoryUrl(text)) return new URL(text).href
  // it may hold a password, which is not repeated
  throw new LinkSocksError('ERR_OPTION', 'must be an https:// URL')
}
