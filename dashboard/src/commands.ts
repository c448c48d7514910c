/** Ready-made command lines. The secret goes through the environment, so that no process list shows it. */

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
