import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { join } from 'node:path'
import { freePort } from '../support/ports.js'
import type { Block } from './markdown.js'
import { TestProcess } from './processes.js'
import { Shell } from './shell.js'

/** What documents call the relay, the port of SOCKS5, and the site to reach. */
const RELAY = 'relay.example.com:8765'
const SOCKS = '127.0.0.1:9870'
const SITE = 'http://intranet.example.com/'
export const PAGE = '<p>a page of the intranet</p>'

/** The lines of a block, those that a `\` continues joined, comments and blank ones left out. */
export function commandsOf(block: Block): readonly string[] {
  const lines = block.text.replaceAll(/\\\n\s*/g, '').split('\n')
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}

/** Runs the commands of a document in order, on this machine instead of several. */
export class DocumentSession {
  readonly #shell: Shell
  readonly #site: HttpServer
  readonly #relayPort: number
  readonly #sitePort: number
  readonly #running: TestProcess[] = []
  /** Lines such as `KEY=...` and `export KEY=...`, which hold for all that follows. */
  readonly #assignments: string[] = []
  /** Where the SOCKS5 port of the document is, by now. */
  #socksPort = 0
  /** The relay opens its SOCKS5 port with the first provider. */
  #portOpensLater = false

  private constructor(shell: Shell, site: HttpServer, relayPort: number, sitePort: number) {
    this.#shell = shell
    this.#site = site
    this.#relayPort = relayPort
    this.#sitePort = sitePort
  }

  static async open(): Promise<DocumentSession> {
    const site = createHttpServer((_request, response) => response.end(PAGE)).listen(0, '127.0.0.1')
    await once(site, 'listening')
    const address = site.address()
    const sitePort = typeof address === 'object' && address !== null ? address.port : 0
    return new DocumentSession(await Shell.open(), site, await freePort(), sitePort)
  }

  /**
   * Runs one command. A `linksocks` that serves goes on running, once it is ready; another one ends.
   * @returns what the command wrote to standard output; nothing for one that goes on
   */
  async run(command: string): Promise<string> {
    if (/^linksocks (?:server|client|provider|connector) /.test(command)) return this.#start(this.#local(command))
    if (/^[A-Z_]+=\S+$|^[A-Z_]+=\$\(.*\)$|^export /.test(command)) {
      this.#assignments.push(this.#local(command))
      return ''
    }
    const { code, stdout, stderr } = await this.#shell.run([...this.#assignments, this.#local(command)].join('\n'))
    if (code !== 0 || stderr !== '') throw new Error(`${command}\nended with ${code}: ${stderr}${this.#logs()}`)
    return stdout
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((started) => started.end()))
    this.#site.closeAllConnections()
    await new Promise((resolve) => this.#site.close(resolve))
    await this.#shell.close()
  }

  #local(command: string): string {
    return command
      .replaceAll(RELAY, `127.0.0.1:${this.#relayPort}`)
      .replaceAll(SOCKS, `127.0.0.1:${this.#socksPort}`)
      .replaceAll(SITE, `http://localhost:${this.#sitePort}/`)
  }

  async #start(command: string): Promise<string> {
    const { args, ready } = await this.#placed(command)
    const started = new TestProcess(join(this.#shell.folder, 'bin', 'linksocks'), args, {
      cwd: this.#shell.folder,
      env: this.#shell.env,
    })
    this.#running.push(started)
    await started.match(ready)
    if (args[0] === 'provider' && this.#portOpensLater) await this.#running[0]?.match(/"socks\.listening"/)
    return ''
  }

  /** Arguments that keep the program on loopback and on free ports, and the line that says that it is ready. */
  async #placed(command: string): Promise<{ args: readonly string[]; ready: RegExp }> {
    const [, mode = '', ...given] = command.split(/\s+/)
    const args = [mode, ...given, '--log-format', 'json']
    // an autonomy provider tells the server of its connector tokens when it is linked
    if (mode === 'provider') return { args, ready: given.includes('-c') ? /"connector\.registered"/ : /"link\.up"/ }
    const socks = await freePort()
    if (mode !== 'server' || given.includes('-r')) this.#socksPort = socks
    const port = given.includes('-p') || given.includes('-a') ? [] : ['-p', String(socks)]
    if (mode !== 'server') return { args: [...args, ...port], ready: /"socks\.listening"/ }
    this.#portOpensLater = given.includes('-r') && !given.includes('-a')
    const place = ['-H', '127.0.0.1', '-P', String(this.#relayPort), ...(given.includes('-r') ? port : [])]
    return { args: [...args, ...place], ready: /"server\.ready"/ }
  }

  #logs(): string {
    return this.#running.map(({ output }) => `\n${output}`).join('')
  }
}
