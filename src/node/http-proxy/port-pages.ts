import { addressText, isLoopback, literalIp } from '../../address.js'
import type { ProxyProtocol, SocketAddress, Target } from '../../ports.js'
import { exceptionsOf, PAC_TYPE, pacFile } from './pac.js'
import { parseAuthority } from './proxy-target.js'

/** Where the PAC file is. */
const PAC_PATH = '/proxy.pac'

/** An answer with a body for people or browsers. */
export interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** What the pages tell of. */
export interface PortFacts {
  readonly protocols: readonly ProxyProtocol[]
  readonly password: boolean
  /** The address that the request came to. */
  readonly local: SocketAddress
  /** Names besides loopback and addresses that the port may be asked by. */
  readonly names: readonly string[]
}

export interface PageRequest {
  readonly method: string
  /** In origin form. */
  readonly url: string
  readonly host: string | undefined
}

/**
 * Answers a request that is for the port itself: a PAC file and a page of help. A client that asks by a name that the port
 * does not have was led here by that name (DNS rebinding), and learns nothing.
 */
export function pageFor({ method, url, host }: PageRequest, facts: PortFacts): Page {
  const [path = ''] = url.split('?', 1)
  if (path !== '/' && path !== PAC_PATH) return plain(404, 'this is a proxy: there is / and /proxy.pac')
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET and HEAD alone', { Allow: 'GET, HEAD' })
  const proxy = parseAuthority(host ?? '', facts.local.port)
  if (proxy === undefined || !isOwnName(proxy.host, facts.names)) {
    return plain(421, 'this port has another name: ask by its address, or give the name with --pac-host')
  }
  if (path === '/')
    return { status: 200, type: 'text/html; charset=utf-8', body: help(proxy, facts), headers: PLAIN_PAGE }
  const direct = exceptionsOf(new URLSearchParams(url.slice(path.length)))
  if (direct === undefined)
    return plain(
      400,
      'direct: up to 64 patterns of letters, digits and . * ? : - _, such as *.local or 10.*; no networks',
    )
  const body = pacFile({ proxy, protocols: facts.protocols, password: facts.password, direct })
  return { status: 200, type: PAC_TYPE, body, headers: { 'Cache-Control': 'no-cache' } }
}

function isOwnName(host: string, names: readonly string[]): boolean {
  return literalIp(host) !== undefined || isLoopback(host) || names.includes(host.toLowerCase())
}

function plain(status: number, text: string, headers?: Page['headers']): Page {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n`, headers }
}

/** Nothing of it loads or runs anything, and no page shows it in a frame. */
const PLAIN_PAGE = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
}

const USES: Readonly<Record<ProxyProtocol, (address: string) => string>> = {
  socks5: (address) => `SOCKS5: socks5h://${address} (TCP and UDP)`,
  socks4: (address) => `SOCKS4 and SOCKS4a: socks4a://${address} (TCP)`,
  http: (address) => `HTTP: http://${address} (TCP; there is no UDP through an HTTP proxy)`,
}

function help(proxy: Target, { protocols, password }: PortFacts): string {
  const address = addressText(proxy)
  const served = protocols.filter((protocol) => protocol !== 'socks4' || !password)
  const uses = served.map((protocol) => `<li>${escaped(USES[protocol](address))}</li>`).join('\n')
  const pac = escaped(`http://${address}${PAC_PATH}`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>LinkSocks proxy</title>
<h1>LinkSocks proxy</h1>
<p>Programs that use this address as their proxy reach the network behind it.</p>
<ul>
${uses}
</ul>
${password ? '<p>It asks for a user name and a password.</p>\n' : ''}<p>Automatic configuration for browsers and systems:
<a href="${PAC_PATH}">${pac}</a>; with <code>?direct=*.local,10.*</code> it names exceptions that go without the proxy.</p>
</html>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
