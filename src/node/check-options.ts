import { X509Certificate } from 'node:crypto'
import { MAX_PORT } from '../address.js'
import { API_KEY_FORM, type ApiKey, isApiKey } from '../api/keys.js'
import { LinkSocksError } from '../errors.js'
import { AccessList } from '../exit/dial/access-rules.js'
import { parseProxyUrl } from '../exit/proxy/proxy-url.js'
import { PROXY_PROTOCOLS } from '../inbound/serve-inbound.js'
import type { AccessRule } from '../ports.js'
import { MAX_CONNECTOR_TOKENS_PER_INSTANCE, MAX_STR8_BYTES } from '../protocol/limits.js'
import { encodeUtf8 } from '../protocol/text.js'
import { MIN_PING_MS, MIN_RESUME_MS, type PingOptions, pingTimes } from './link-options.js'
import { checkDescriptors, checkListen, checkSocketList } from './listen-options.js'
import { type ClientOptions, MAX_DURATION_MS, type ProxyPortOptions, type ServerOptions } from './options.js'
import { DATA_KEY_FORMS, dataKeyEncoding } from './store/key-form.js'
import { readCertificatePair } from './tls/certificate-pair.js'
import { parseKeyPin } from './tls/key-pins.js'

/** Most links one client keeps to its server. */
export const MAX_THREADS = 64
/** Keys of servers that one client accepts. */
export const MAX_PINS = 16
/** Servers that one attempt to connect goes through. */
const MAX_URLS = 16

/** @throws {LinkSocksError} ERR_OPTION, naming the option */
export function checkServerOptions(options: ServerOptions): void {
  const { port, portRange, apiKey, connectorWaitMs, udpTimeoutMs, exitProxy } = options
  checkInteger('port', port, 0, MAX_PORT)
  checkListen(options)
  checkAcme(options)
  checkDescriptors(options)
  if (portRange !== undefined) {
    const [first, last] = portRange
    checkInteger('portRange[0]', first, 1, MAX_PORT)
    checkInteger('portRange[1]', last, first, MAX_PORT)
  }
  if (apiKey === '') throw new LinkSocksError('ERR_OPTION', 'apiKey must not be empty')
  checkApiKeys('apiKeys', options.apiKeys, apiKey)
  checkData(options)
  checkMetrics(options)
  checkDuration('connectorWaitMs', connectorWaitMs, 0)
  checkDuration('udpTimeoutMs', udpTimeoutMs, 1)
  checkPings(options)
  checkDuration('resumeTimeoutMs', options.resumeTimeoutMs, MIN_RESUME_MS)
  checkProxy('exitProxy', exitProxy)
  checkRules('entryRules', options.entryRules)
  checkRules('dialRules', options.dialRules)
  checkProxyPort('', options)
}

/** Whether an authority can validate it as it is served here: a host name in lower case, without a wildcard. */
export function isCertifiableName(text: string): boolean {
  return /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/.test(text)
}

/** Whether it can stand in a mailto: URL. */
export function isMailAddress(text: string): boolean {
  return /^[^\s@:/?#]+@[^\s@:/?#]+$/.test(text) && text.length <= 254
}

/** Whether it can be the URL of an ACME directory: https://, without a user. */
export function isDirectoryUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'https:' && url.username === '' && url.password === ''
}

/** Names that one server gets certificates for. */
export const MAX_ACME_DOMAINS = 32

function checkAcme({ acme, dataDir }: ServerOptions): void {
  if (acme === undefined) return
  const refuse = (why: string): never => {
    throw new LinkSocksError('ERR_OPTION', why)
  }
  const { domains, email, directory, httpListen } = acme
  if (dataDir === undefined) refuse('acme needs dataDir, where account and certificates are kept')
  if (domains.length === 0 || domains.length > MAX_ACME_DOMAINS) refuse(`acme.domains must be 1 to ${MAX_ACME_DOMAINS}`)
  for (const [index, name] of domains.entries()) {
    if (!isCertifiableName(name)) refuse(`acme.domains[${index}] must be a host name in lower case, without a wildcard`)
  }
  if (new Set(domains).size < domains.length) refuse('acme.domains: each name once')
  if (email !== undefined && !isMailAddress(email)) refuse('acme.email must be a mail address')
  if (directory !== undefined && !isDirectoryUrl(directory)) refuse('acme.directory must be an https:// URL')
  if (httpListen && 'port' in httpListen) checkInteger('acme.httpListen.port', httpListen.port, 0, MAX_PORT)
}

/** Names that one port answers to. */
const MAX_PAC_HOSTS = 64

/** Whether browsers can ask by it: a name without a port. Addresses need not be given. */
export function isPacHost(text: string): boolean {
  return /^[\w-]+(\.[\w-]+)*$/.test(text) && text.length <= 253
}

function checkProxyPort(prefix: string, { proxyProtocols, pacHosts = [] }: ProxyPortOptions): void {
  const refuse = (why: string): never => {
    throw new LinkSocksError('ERR_OPTION', `${prefix}${why}`)
  }
  if (proxyProtocols !== undefined) {
    const known = PROXY_PROTOCOLS.filter((protocol) => proxyProtocols.includes(protocol))
    const sound = known.length > 0 && known.length === proxyProtocols.length
    if (!sound) refuse(`proxyProtocols must be some of ${PROXY_PROTOCOLS.join(', ')}, each once`)
  }
  if (pacHosts.length > MAX_PAC_HOSTS) refuse(`pacHosts: at most ${MAX_PAC_HOSTS}`)
  for (const [index, name] of pacHosts.entries()) {
    if (!isPacHost(name)) refuse(`pacHosts[${index}] must be a host name without a port`)
  }
}

/** Name that a call with `apiKey` has in the audit line. */
const API_KEY_NAME = 'default'
/** Most keys besides `apiKey`: every one is compared with each call's. */
export const MAX_API_KEYS = 64
const KEY_NAME = /^[A-Za-z0-9._-]{1,64}$/
const KEY_ROLES: readonly string[] = ['full', 'read-only'] satisfies ApiKey['role'][]

/**
 * Judges `apiKeys` and that they differ from each other and from `apiKey`.
 * @throws {LinkSocksError} ERR_OPTION, beginning with `option`; no key is repeated
 */
export function checkApiKeys(option: string, apiKeys: readonly ApiKey[] = [], apiKey?: string): void {
  const refuse = (why: string): never => {
    throw new LinkSocksError('ERR_OPTION', `${option}: ${why}`)
  }
  if (apiKeys.length > MAX_API_KEYS) refuse(`at most ${MAX_API_KEYS} keys`)
  const names = new Set<string>(apiKey === undefined ? [] : [API_KEY_NAME])
  const owners = new Map<string, string>(apiKey === undefined ? [] : [[apiKey, API_KEY_NAME]])
  for (const [index, { name, role, key }] of apiKeys.entries()) {
    // what is no name may be a key in the wrong place
    if (!KEY_NAME.test(name)) refuse(`the name of key ${index + 1} must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'`)
    if (!KEY_ROLES.includes(role)) refuse(`the role of '${name}' must be full or read-only`)
    if (key === '') refuse(`the key of '${name}' must not be empty`)
    if (!isApiKey(key)) refuse(`the key of '${name}' must be ${API_KEY_FORM}`)
    if (names.has(name)) refuse(`two keys have the name '${name}'`)
    const owner = owners.get(key)
    if (owner !== undefined) refuse(`'${owner}' and '${name}' have the same key: each needs its own`)
    names.add(name)
    owners.set(key, name)
  }
}

function checkData({ dataDir, dataKey, dataDirWaitMs, takeOver }: ServerOptions): void {
  if (dataDir === '') throw new LinkSocksError('ERR_OPTION', 'dataDir must not be empty')
  checkDuration('dataDirWaitMs', dataDirWaitMs, 0)
  if (dataDir === undefined && takeOver === true) throw new LinkSocksError('ERR_OPTION', 'takeOver needs dataDir')
  if (dataKey === undefined) return
  if (dataDir === undefined) throw new LinkSocksError('ERR_OPTION', 'dataKey needs dataDir')
  checkDataKey('dataKey', dataKey)
}

/** @throws {LinkSocksError} ERR_OPTION, beginning with `name`; the key is not repeated */
export function checkDataKey(name: string, key: string): void {
  if (dataKeyEncoding(key) !== undefined) return
  throw new LinkSocksError('ERR_OPTION', `${name} must be ${DATA_KEY_FORMS} (openssl rand -hex 32)`)
}

function checkMetrics({ metricsKey, metricsListen }: ServerOptions): void {
  if (metricsKey !== undefined && !isApiKey(metricsKey)) {
    throw new LinkSocksError('ERR_OPTION', `metricsKey must be ${API_KEY_FORM}`)
  }
  if (metricsListen === undefined || 'fd' in metricsListen) return
  if (metricsListen.host === '') throw new LinkSocksError('ERR_OPTION', 'metricsListen.host must not be empty')
  checkInteger('metricsListen.port', metricsListen.port, 0, MAX_PORT)
}

/** @throws {LinkSocksError} ERR_OPTION, naming the option */
export function checkClientOptions(options: ClientOptions): void {
  const { token, threads, reverse = false, connectorTokens = [], udpTimeoutMs, exitProxy, serverProxy } = options
  checkInteger('threads', threads, 1, MAX_THREADS)
  if (Array.isArray(options.url) && (options.url.length === 0 || options.url.length > MAX_URLS)) {
    throw new LinkSocksError('ERR_OPTION', `url must be one, or a list of 1 to ${MAX_URLS}`)
  }
  checkText('token', token, 1)
  if (connectorTokens.length > MAX_CONNECTOR_TOKENS_PER_INSTANCE) {
    throw new LinkSocksError('ERR_OPTION', `connectorTokens: at most ${MAX_CONNECTOR_TOKENS_PER_INSTANCE}`)
  }
  // an empty one is for the server to generate
  for (const [index, text] of connectorTokens.entries()) checkText(`connectorTokens[${index}]`, text, 0)
  if (!reverse && connectorTokens.length > 0) {
    throw new LinkSocksError('ERR_OPTION', 'connectorTokens are for providers (reverse: true)')
  }
  checkSocks(options)
  checkClientTls(options.tls)
  checkDuration('udpTimeoutMs', udpTimeoutMs, 1)
  checkPings(options)
  checkDuration('resumeTimeoutMs', options.resumeTimeoutMs, MIN_RESUME_MS)
  checkProxy('exitProxy', exitProxy)
  checkRules('entryRules', options.entryRules)
  if (options.entryRules !== undefined && options.socks === undefined) {
    throw new LinkSocksError('ERR_OPTION', 'entryRules are for the proxy port: give socks as well')
  }
  checkRules('dialRules', options.dialRules)
  if (!reverse && options.dialRules !== undefined) {
    throw new LinkSocksError('ERR_OPTION', 'dialRules are for providers (reverse: true): this end dials nothing')
  }
  if (serverProxy !== undefined) {
    checkProxy('serverProxy', serverProxy.includes('://') ? serverProxy : `http://${serverProxy}`)
  }
}

function checkPings(options: PingOptions): void {
  checkDuration('pingIntervalMs', options.pingIntervalMs, MIN_PING_MS)
  checkDuration('pingTimeoutMs', options.pingTimeoutMs, MIN_PING_MS)
  pingTimes(options)
}

function checkSocks({ socks, reverse = false }: ClientOptions): void {
  if (socks === undefined) return
  if (reverse) throw new LinkSocksError('ERR_OPTION', 'a provider has no proxy port of its own: leave socks out')
  if ((socks.username === undefined) !== (socks.password === undefined)) {
    throw new LinkSocksError('ERR_OPTION', 'socks.username and socks.password go together: give both or neither')
  }
  checkInteger('socks.port', socks.port, 0, MAX_PORT)
  checkSocketList('socks.sockets', socks.sockets)
  if (socks.sockets !== undefined && (socks.host !== undefined || socks.port !== undefined)) {
    throw new LinkSocksError('ERR_OPTION', 'socks.sockets take the place of socks.host and socks.port: leave them out')
  }
  checkProxyPort('socks.', socks)
  if (socks.username !== undefined && socks.proxyProtocols?.every((protocol) => protocol === 'socks4')) {
    throw new LinkSocksError('ERR_OPTION', 'socks.proxyProtocols: SOCKS4 has no password, add socks5 or http')
  }
  // RFC 1929 section 2: no client could send more
  checkText('socks.username', socks.username, 1)
  checkText('socks.password', socks.password, 1)
}

function checkRules(name: string, rules: readonly AccessRule[] | undefined): void {
  if (rules === undefined) return
  try {
    new AccessList(rules)
  } catch (thrown) {
    throw new LinkSocksError('ERR_OPTION', `${name}: ${LinkSocksError.from(thrown, 'ERR_OPTION').message}`)
  }
}

function checkInteger(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return
  throw new LinkSocksError('ERR_OPTION', `${name} must be an integer from ${min} to ${max}`)
}

function checkDuration(name: string, value: number | undefined, min: number): void {
  if (value === undefined || (value >= min && value <= MAX_DURATION_MS)) return
  throw new LinkSocksError('ERR_OPTION', `${name} must be from ${min} to ${MAX_DURATION_MS} milliseconds`)
}

/** A longer text would be cut on the wire. The value may be a secret and is not repeated. */
function checkText(name: string, value: string | undefined, min: number): void {
  if (value === undefined) return
  const bytes = encodeUtf8(value).byteLength
  if (bytes >= min && bytes <= MAX_STR8_BYTES) return
  throw new LinkSocksError('ERR_OPTION', `${name} must be ${min} to ${MAX_STR8_BYTES} bytes of UTF-8`)
}

function checkProxy(name: string, url: string | undefined): void {
  if (url === undefined) return
  try {
    parseProxyUrl(url)
  } catch (thrown) {
    const { message } = LinkSocksError.from(thrown, 'ERR_OPTION')
    throw new LinkSocksError('ERR_OPTION', `${name}: ${message}`)
  }
}

function checkClientTls(tls: ClientOptions['tls']): void {
  checkCa('tls.ca', tls?.ca)
  checkText('tls.serverName', tls?.serverName, 1)
  checkClientCertificate(['tls.cert', 'tls.key'], tls?.cert, tls?.key)
  const { pinSha256 } = tls ?? {}
  if (pinSha256 === undefined) return
  // an empty list could mean any key, and none
  if (pinSha256.length === 0 || pinSha256.length > MAX_PINS)
    throw new LinkSocksError('ERR_OPTION', `tls.pinSha256: 1 to ${MAX_PINS} keys`)
  for (const [index, pin] of pinSha256.entries()) {
    try {
      parseKeyPin(pin)
    } catch (thrown) {
      const { message } = LinkSocksError.from(thrown, 'ERR_OPTION')
      throw new LinkSocksError('ERR_OPTION', `tls.pinSha256[${index}] ${message}`)
    }
  }
}

/** @throws {LinkSocksError} ERR_OPTION */
export function checkKeyPin(text: string): void {
  parseKeyPin(text)
}

/**
 * Judges what a client shows to its server.
 * @param names of both, for messages
 * @throws {LinkSocksError} ERR_OPTION, beginning with one of `names`; nothing of the key is repeated
 */
export function checkClientCertificate(
  names: readonly [cert: string, key: string],
  cert: string | undefined,
  key: string | undefined,
): void {
  if (cert === undefined && key === undefined) return
  if (cert === undefined || key === undefined) {
    const [given, missing] = cert === undefined ? [names[1], names[0]] : names
    throw new LinkSocksError('ERR_OPTION', `${given} needs ${missing}`)
  }
  try {
    readCertificatePair(cert, key)
  } catch (thrown) {
    throw new LinkSocksError(
      'ERR_OPTION',
      `${names.join(' and ')}: ${LinkSocksError.from(thrown, 'ERR_OPTION').message}`,
    )
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs

/**
 * Else every attempt to connect would fail, for ever.
 * @throws {LinkSocksError} ERR_OPTION, beginning with `name`
 */
export function checkCa(name: string, ca: string | undefined): void {
  if (ca === undefined) return
  const certificates = ca.match(CERTIFICATE) ?? []
  if (certificates.length === 0) throw new LinkSocksError('ERR_OPTION', `${name} holds no PEM certificate`)
  for (const [index, pem] of certificates.entries()) {
    try {
      new X509Certificate(pem)
    } catch {
      // no cause: it says nothing that helps
      throw new LinkSocksError('ERR_OPTION', `${name}: certificate ${index + 1} can't be read`)
    }
  }
}
