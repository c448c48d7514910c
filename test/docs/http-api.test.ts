import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server as TcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { beforeAll, describe, expect, it } from 'vitest'
import { SERVER_FLAGS } from '../../src/cli/settings/server-flags.js'
import { Client, Server } from '../../src/index.js'
import { packageVersion } from '../../src/node/system/package-version.js'
import { readText, type ToolResult } from '../project/support.js'
import { apiDocument } from '../support/api-contract.js'
import { freePort } from '../support/ports.js'
import { eventually, until } from '../support/wait.js'
import { type Block, type Document, readMarkdown } from './markdown.js'
import { expectShown, Placeholders } from './placeholders.js'
import { Shell } from './shell.js'

const KEYS = { KEY: 'key-of-the-test', READER: 'reader-of-the-test', METRICS: 'metrics-of-the-test' }
/** What the documents call the port of SOCKS5, the address of clients, and the destination of a stream. */
const DOCUMENTED = { port: '10080', address: '203.0.113.9', target: 'intranet.example.com:80' }
/** Bytes that the documents show of that stream. */
const CARRIED = { sent: 78, received: 1_256 }

interface Example {
  readonly command: Block
  readonly answer: Block
}

/** Each command with the block behind it, which is its answer. */
function examplesOf(blocks: readonly Block[]): readonly Example[] {
  return blocks.flatMap((command, index) => {
    const answer = blocks[index + 1]
    if (command.language !== 'sh' || !command.text.includes('$SERVER')) return []
    if (answer === undefined || answer.language === 'sh') throw new Error(`line ${command.line}: no answer is shown`)
    return [{ command, answer }]
  })
}

/** A relay with what the documents tell of: clients, a stream, and events that somebody has missed. */
class Relay {
  readonly port: number
  readonly #server: Server
  readonly #site: TcpServer
  readonly #folder: string
  readonly #clients: Client[] = []
  #stream: Duplex | undefined

  private constructor(server: Server, site: TcpServer, port: number, folder: string) {
    this.#server = server
    this.#site = site
    this.port = port
    this.#folder = folder
  }

  static async open(): Promise<Relay> {
    const site = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => socket.write('x'.repeat(CARRIED.received)))
    })
    await once(site.listen(0, '127.0.0.1'), 'listening')
    const folder = await mkdtemp(join(tmpdir(), 'linksocks-api-'))
    const server = new Server({
      ...{ host: '127.0.0.1', port: 0, dataDir: join(folder, 'data'), pingIntervalMs: 100 },
      ...{ apiKey: KEYS.KEY, apiKeys: [{ name: 'monitor', role: 'read-only', key: KEYS.READER }] },
      metricsKey: KEYS.METRICS,
    })
    await server.listen()
    return new Relay(server, site, await freePort(), folder)
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.address?.port}`
  }

  /** Tokens that are there. */
  get tokens(): readonly string[] {
    return this.#server.tokens().map(({ token, type }) => `${type} ${token}`)
  }

  /** A text of a document as it is here. */
  local(text: string): string {
    const site = this.#site.address()
    return text
      .replaceAll(DOCUMENTED.port, String(this.port))
      .replaceAll(DOCUMENTED.address, '127.0.0.1')
      .replaceAll(DOCUMENTED.target, `127.0.0.1:${typeof site === 'object' && site !== null ? site.port : 0}`)
      .replaceAll(/(?<="version": ?"|LinkSocks )\d+\.\d+\.\d+/g, packageVersion())
  }

  /** Makes so what the document tells of next. */
  async before(command: string): Promise<void> {
    if (command.includes('/api/status') && command.includes('$KEY')) await this.#connectAll()
    if (command.includes('/api/clients?')) {
      await this.#openStream()
      await this.#list('clients', (client) => Number(client.rtt_ms) > 0, 3)
    }
    if (command.includes('/api/server')) await this.#list('clients', () => true, 3)
    if (command.includes('Last-Event-ID'))
      await this.#server.addToken({ type: 'forward', token: 'visitor', label: 'visitor' })
  }

  async after(command: string): Promise<void> {
    if (command.includes('Last-Event-ID')) await this.#server.removeToken('visitor')
  }

  /** Makes events that no document tells of. */
  async stir(): Promise<undefined> {
    await this.#server.addToken({ type: 'forward', token: 'passer-by' })
    await this.#server.removeToken('passer-by')
  }

  async close(): Promise<void> {
    this.#stream?.destroy()
    await Promise.all(this.#clients.map((client) => client.close()))
    await this.#server.close()
    await new Promise((resolve) => this.#site.close(resolve))
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #connectAll(): Promise<void> {
    await this.#connect('office', true)
    for (let count = 0; count < 2; count += 1) await this.#connect('laptop', false)
    const listening = (): boolean => {
      const [, homes] = this.#server.tokens()
      return homes !== undefined && 'listening' in homes && homes.listening === true
    }
    await until(listening)
  }

  async #connect(token: string, reverse: boolean): Promise<void> {
    const client = new Client({ url: this.url, token, reverse })
    this.#clients.push(client)
    await client.start()
  }

  /** By the first client of `laptop`. */
  async #openStream(): Promise<void> {
    const [host = '', port] = this.local(DOCUMENTED.target).split(':')
    this.#stream = await this.#clients[1]?.dial(host, Number(port))
    this.#stream?.on('error', () => {}).resume()
    this.#stream?.write('x'.repeat(CARRIED.sent))
    await this.#list('streams', (stream) => stream.received_bytes === CARRIED.received, 1)
  }

  /** Waits until `count` entries of a list are as they should be. */
  async #list(name: string, good: (entry: Readonly<Record<string, unknown>>) => boolean, count: number): Promise<void> {
    await eventually(`${count} ${name} as they should be`, async () => {
      const answer = await fetch(`${this.url}/api/${name}`, { headers: { 'X-API-Key': KEYS.KEY } })
      const body = (await answer.json()) as Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
      return body[name]?.filter(good).length === count || undefined
    })
  }
}

/** A program notices only when it writes that its reader is gone: events are made until it ends. */
async function runWatched(relay: Relay, shell: Shell, command: string): Promise<ToolResult> {
  const running = shell.run(command)
  let over = !command.includes('Last-Event-ID')
  const done = (): void => {
    over = true
  }
  void running.then(done, done)
  await eventually('end of the command', async () => over || (await relay.stir()))
  return await running
}

async function runExamples(examples: readonly Example[]): Promise<void> {
  const relay = await Relay.open()
  const shell = await Shell.open({ SERVER: relay.url, ...KEYS })
  try {
    const placeholders = new Placeholders(began)
    for (const { command, answer } of examples) {
      const where = `line ${command.line}: ${command.text}`
      await relay.before(command.text)
      const { code, stdout, stderr } = await runWatched(relay, shell, placeholders.command(relay.local(command.text)))
      expect({ code, stderr }, where).toEqual({ code: 0, stderr: '' })
      expectShown(placeholders, relay.local(answer.text), stdout, where)
      await relay.after(command.text)
    }
    // what the calls left behind
    expect(relay.tokens).toEqual(['forward laptop', 'reverse homes'])
  } finally {
    await shell.close()
    await relay.close()
  }
}

const began = Date.now()
const runs = new Map<string, Promise<void>>()

/** What documents show alike, command by command and answer by answer, is run once for all of them. */
function runOnce(examples: readonly Example[]): Promise<void> {
  const shown = JSON.stringify(examples.map(({ command, answer }) => [command.text, answer.text]))
  const run = runs.get(shown) ?? runExamples(examples)
  runs.set(shown, run)
  return run
}

describe.each(['docs/http-api.md', 'docs/zh/http-api.md'])('%s', (name) => {
  let document: Document
  beforeAll(async () => {
    document = readMarkdown(await readText(name))
  })

  it('shows every call with the answer it gets', { timeout: 60_000 }, async () => {
    const examples = examplesOf(document.blocks)
    expect(examples.length).toBeGreaterThanOrEqual(25)
    await runOnce(examples)
  })

  it('lists every call there is, and has an example of each', () => {
    const { paths } = apiDocument()
    const calls = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    // no call: a page
    const there = [...calls, 'GET /dashboard']
    const listed = [...document.prose.matchAll(/^\| \[?`([A-Z]+ \/\S*)`/gm)].map(([, call]) => call)
    expect(listed.toSorted()).toEqual(there.toSorted())
    const shown = examplesOf(document.blocks).map(({ command: { text } }) => {
      const [, path = ''] = /\$SERVER([^"?]*)/.exec(text) ?? []
      return [/-X (\w+)/.exec(text)?.[1] ?? 'GET', path] as const
    })
    const withoutExample = there.filter((call) => {
      const [method, path = ''] = call.split(' ')
      const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/, '[^/]+')}$`)
      return !shown.some(([other, wire]) => other === method && pattern.test(wire))
    })
    expect(withoutExample).toEqual([])
  })

  it('names only flags and variables that a server has', () => {
    const text = [document.prose, ...document.blocks.map((block) => block.text)].join('\n')
    const flags = SERVER_FLAGS.flatMap((flag) => flag.flags.split(/[ ,]+/))
    const ofCurl = ['--max-time']
    const named = text.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? []
    expect(named.filter((flag) => !flags.includes(flag) && !ofCurl.includes(flag))).toEqual([])
    const variables = SERVER_FLAGS.flatMap(({ variable }) => variable ?? [])
    const wrong = (text.match(/LINKSOCKS_\w+/g) ?? []).filter((word) => !variables.includes(word.replace(/_FILE$/, '')))
    expect(wrong).toEqual([])
  })
})

describe('docs/http-api.md and docs/zh/http-api.md', () => {
  it('are the same but for the words', async () => {
    const [english, chinese] = await Promise.all(
      ['docs/http-api.md', 'docs/zh/http-api.md'].map(async (name) => readMarkdown(await readText(name))),
    )
    expect(chinese?.blocks.map(({ text }) => text)).toEqual(english?.blocks.map(({ text }) => text))
    expect(chinese?.headings.map(({ level }) => level)).toEqual(english?.headings.map(({ level }) => level))
    const rows = (document: Document | undefined) =>
      document?.prose.match(/^\|.*/gm)?.map((row) => row.match(/`[^`]+`/g) ?? [])
    expect(rows(chinese)).toEqual(rows(english))
  })
})
