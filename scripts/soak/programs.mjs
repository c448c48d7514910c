// The processes of the soak, and the relays between them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { fail } from './plan.mjs'

const PROGRAM = fileURLToPath(new URL('../../bin/linksocks.js', import.meta.url))

/** One process of the program and what its log told. */
export class Program {
  static all = []
  counts = new Map()
  exited = false
  #waiting = []
  #last = new Map()

  constructor(name, args) {
    this.name = name
    this.child = spawn(process.execPath, [PROGRAM, ...args, '--log-format', 'json'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let rest = ''
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      for (const line of lines) this.#read(line)
    })
    this.child.on('exit', (code, signal) => {
      this.exited = true
      if (!Program.ending) fail(`${name} ended with ${code ?? signal}`)
    })
    Program.all.push(this)
  }

  #read(line) {
    if (!line.startsWith('{')) return void fail(`${this.name} says: ${line}`)
    const entry = JSON.parse(line)
    this.counts.set(entry.event, this.count(entry.event) + 1)
    this.#last.set(entry.event, entry)
    if (entry.level === 'error' || entry.event === 'session.violation') fail(`${this.name} logs: ${line}`)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  count(event) {
    return this.counts.get(event) ?? 0
  }

  /** The last line with this event. */
  async event(event) {
    const limit = AbortSignal.timeout(10_000)
    while (!this.#last.has(event)) {
      if (limit.aborted || this.exited) throw new Error(`no ${event} from ${this.name}`)
      await Promise.race([new Promise((resolve) => this.#waiting.push(resolve)), sleep(500)])
    }
    return this.#last.get(event)
  }

  get rss() {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes) / 1024
  }

  get files() {
    return readdirSync(`/proc/${this.child.pid}/fd`).length
  }
}

export async function listen(server) {
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 })
  await once(server, 'listening')
  return server.address().port
}

/** Carries connections to `port`; `cut()` resets them all. */
class Relay {
  pairs = new Set()

  async open(port) {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
      const pair = [near, far]
      this.pairs.add(pair)
      for (const socket of pair) {
        socket
          .on('error', () => {})
          .on('close', () => {
            this.pairs.delete(pair)
            for (const other of pair) other.destroy()
          })
      }
      near.pipe(far)
      far.pipe(near)
    })
    this.url = `ws://127.0.0.1:${await listen(server)}`
    return this
  }

  cut() {
    const pairs = [...this.pairs]
    for (const [near, far] of pairs) {
      near.resetAndDestroy()
      if (far.connecting) far.destroy()
      else far.resetAndDestroy()
    }
    return pairs.length
  }
}

export async function startPrograms() {
  const free = async () => {
    const server = createServer()
    const port = await listen(server)
    server.close()
    await once(server, 'close')
    return port
  }
  const key = 'key of the soak'
  const args = ['-H', '127.0.0.1', '-P', '0', '-k', key, '-r', '-t', 'P', '-c', 'C', '-p', `${await free()}`]
  const server = new Program('server', ['server', ...args])
  const port = Number((await server.event('server.ready')).address.split(':').at(-1))
  const body = JSON.stringify({ type: 'forward', token: 'F' })
  const made = await fetch(`http://127.0.0.1:${port}/api/token`, {
    method: 'POST',
    headers: { 'X-API-Key': key },
    body,
  })
  if (made.status !== 200) throw new Error(`no forward token: ${made.status}`)
  const links = []
  for (const [name, token] of [
    ['provider', 'P'],
    ['connector', 'C'],
    ['client', 'F'],
  ]) {
    const relay = await new Relay().open(port)
    const program = new Program(name, [name, '-u', relay.url, '-t', token, ...(name === 'provider' ? [] : ['-p', '0'])])
    await program.event('link.up')
    links.push({ program, relay, cuts: 0 })
  }
  const [, connector, client] = links
  const socksPort = async ({ program }) => (await program.event('socks.listening')).port
  return { server, port, links, agent: await socksPort(connector), forward: await socksPort(client) }
}
