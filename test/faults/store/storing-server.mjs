import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../../bin/linksocks.js', import.meta.url))
const FLAGS = ['server', '-H', '127.0.0.1', '-P', '0', '-k', 'key', '--log-format', 'json']

/** The server's program with a data directory, and its API. */
export class StoringServer {
  #directory
  #child
  #url

  constructor(directory) {
    this.#directory = directory
  }

  async start() {
    const args = [PROGRAM, ...FLAGS, '--data-dir', this.#directory]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    for await (const line of createInterface({ input: this.#child.stderr })) {
      const { event, address } = JSON.parse(line)
      if (event !== 'server.ready') continue
      this.#url = `http://${address}/api`
      this.#child.stderr.resume()
      return
    }
    throw new Error('the server did not start')
  }

  async kill() {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  /** @returns status and body */
  async ask(method, path, body) {
    const headers = { 'X-API-Key': 'key' }
    const response = await fetch(`${this.#url}/${path}`, { method, headers, body: body && JSON.stringify(body) })
    const text = await response.text()
    return [response.status, text === '' ? undefined : JSON.parse(text)]
  }

  async alarms() {
    return (await this.ask('GET', 'server'))[1].alarms.map(({ code }) => code)
  }
}
