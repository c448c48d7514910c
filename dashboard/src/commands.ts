/** Ready-made command lines. The secret goes through the environment, so that no process list shows it. */
import type { ProxyProtocol } from './api/types.js'

export type Shell = 'posix' | 'powershell'
export type Program = 'client' | 'provider' | 'connector'

/** What of a page's location a command needs. */
export interface PageLocation {
  readonly protocol: string
  readonly host: string
  readonly pathname: string
}

/** Where WebSockets are accepted; a client adds it by itself only when the URL has no path. */
const SOCKET_PATH = '/socket'

/** One word for `sh` and its relatives: between single quotes nothing is special but their own end. */
export function quotePosix(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** One word for PowerShell, which takes curly quotes for straight ones; doubled, each stands for itself. */
export function quotePowerShell(text: string): string {
  return `'${text.replaceAll(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`
}

/** The relay that serves the page at `location`, as a client has to be told. */
export function relayUrl({ protocol, host, pathname }: PageLocation): string {
  const scheme = protocol === 'https:' ? 'wss:' : 'ws:'
  const prefix = pathname.replace(/\/dashboard\/[^/]*$/, '')
  return `${scheme}//${host}${prefix === '' ? '' : `${prefix}${SOCKET_PATH}`}`
}

/** Whether a page at this host name was opened on the server's own machine: nobody else gets there by that name. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}

export function commandLine(shell: Shell, program: Program, url: string, token: string): string {
  if (shell === 'powershell') {
    return `$env:LINKSOCKS_TOKEN = ${quotePowerShell(token)}; linksocks ${program} -u ${quotePowerShell(url)}`
  }
  return `LINKSOCKS_TOKEN=${quotePosix(token)} linksocks ${program} -u ${quotePosix(url)}`
}

const PROGRAMS = { forward: 'client', reverse: 'provider', connector: 'connector' } as const

/** Which command uses a token of this type. */
export function programOf(type: keyof typeof PROGRAMS): Program {
  return PROGRAMS[type]
}

/** The port of a reverse token as applications get to it. */
export interface ProxyPort {
  /** As in a URL: IPv6 in brackets. */
  readonly host: string
  readonly port: number
  readonly protocols: readonly ProxyProtocol[]
  /** `null`: the port asks for none. */
  readonly username: string | null
}

/** Schemes of curl by which the far end looks names up. */
const SCHEMES: Readonly<Record<ProxyProtocol, string>> = { socks5: 'socks5h', socks4: 'socks4a', http: 'http' }

/** Whether a port serves all that there is. */
export function servesAll(protocols: readonly ProxyProtocol[]): boolean {
  return Object.keys(SCHEMES).every((protocol) => protocols.some((served) => served === protocol))
}

/** Lines for curl, one for each protocol; without a password, which curl asks for. */
export function proxyCommands(shell: Shell, { host, port, protocols, username }: ProxyPort): readonly string[] {
  // in older PowerShells `curl` is another program
  const [curl, quote] = shell === 'powershell' ? ['curl.exe', quotePowerShell] : ['curl', quotePosix]
  const login = username === null ? '' : ` -U ${quote(username)}`
  // SOCKS4 has no password, so that a port that asks for one refuses it
  const usable = protocols.filter((protocol) => protocol !== 'socks4' || username === null)
  return usable.map((protocol) => {
    const proxy = `${SCHEMES[protocol]}://${host}:${port}`
    return `${curl} -x ${quote(proxy)}${login} https://example.com/`
  })
}
