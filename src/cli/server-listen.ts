import { LinkSocksError } from '../errors.js'
import { isCertifiableName, isDirectoryUrl, isMailAddress, MAX_ACME_DOMAINS } from '../node/check-options.js'
import { checkListenAddress, MAX_LISTEN_ADDRESSES } from '../node/listen-options.js'
import type { AcmeOptions, ServerOptions, ServerTlsOptions } from '../node/options.js'
import { optionError, type Settings } from './settings/environment.js'
import { longName } from './settings/flags.js'
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
export function readListen(settings: Settings): ListenPlan {
  const acme = readAcme(settings)
  const tls = readTlsFiles(settings)
  const listen = settings.list(LISTEN, parseListen)
  if (listen === undefined) {
    return { host: settings.value(WS_HOST, parseHost), port: settings.value(WS_PORT, parsePort), tls, acme }
  }
  if (listen.length > MAX_LISTEN_ADDRESSES) {
    throw optionError(settings.source(LISTEN) ?? '', `at most ${MAX_LISTEN_ADDRESSES} addresses`)
  }
  const own = [WS_HOST, WS_PORT].find((flag) => settings.given(flag))
  if (own !== undefined) throw optionError(longName(own), `cannot be combined with ${settings.source(LISTEN)}`)
  checkTlsAddress(settings, listen, tls !== undefined || acme !== undefined)
  return { listen, tls, acme }
}

/** A listening address with TLS and certificates go together. */
function checkTlsAddress(settings: Settings, listen: readonly string[], hasCertificates: boolean): void {
  const isSecure = listen.some((address) => /^wss:/i.test(address))
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

function readAcme(settings: Settings): AcmeOptions | undefined {
  const domains = settings.list(ACME_DOMAIN, parseDomain)
  const others = [ACME_EMAIL, ACME_DIRECTORY, ACME_HTTP_LISTEN]
  if (domains === undefined) {
    const given = others.find((flag) => settings.given(flag))
    if (given !== undefined) throw optionError(longName(given), `needs ${longName(ACME_DOMAIN)}`)
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
    httpListen: settings.value(ACME_HTTP_LISTEN, (text) => (text === 'none' ? false : parseHostPort(text))),
  }
}

/** What a server threw that could not listen, with the flag that named the address, where it is not that of -H and -P. */
export function listenFailure(thrown: unknown, { listen, acme, metricsListen }: ServerOptions): unknown {
  if (!(thrown instanceof LinkSocksError) || thrown.code !== 'ERR_LISTEN') return thrown
  const others = [
    [METRICS_LISTEN, metricsListen],
    [ACME_HTTP_LISTEN, acme?.httpListen || undefined],
  ] as const
  const other = others.find(([, at]) => at !== undefined && thrown.message.includes(`port ${at.port} on ${at.host}`))
  const flag = other?.[0] ?? (listen === undefined ? undefined : LISTEN)
  if (flag === undefined) return thrown
  return new LinkSocksError(thrown.code, `${longName(flag)}: ${thrown.message}`, { cause: thrown })
}

function parseListen(text: string): string {
  checkListenAddress(text)
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
