import { Client, Server, type ServerOptions } from '../../../src/index.js'
import { FULL_KEY, READER_KEY, type RelayUnderTest } from './relay.js'

/** A relay server of this repository, with clients that are its own library's. */
export class RealRelay implements RelayUnderTest {
  #server: Server | undefined
  #port = 0
  #keys = [
    { name: 'default', role: 'full', key: FULL_KEY },
    { name: 'watcher', role: 'read-only', key: READER_KEY },
  ]
  readonly #clients = new Set<Client>()

  get url(): string {
    return `http://127.0.0.1:${this.#port}/dashboard/`
  }

  async start(): Promise<void> {
    const options = { host: '127.0.0.1', port: this.#port, apiKeys: this.#keys } as ServerOptions
    this.#server = new Server(options)
    this.#port = (await this.#server.listen()).port
  }

  async stop(): Promise<void> {
    await this.#server?.close()
    this.#server = undefined
  }

  async revoke(key: string): Promise<void> {
    this.#keys = this.#keys.filter((kept) => kept.key !== key)
    await this.stop()
    await this.start()
  }

  async connect(token: string): Promise<void> {
    const client = new Client({ url: `ws://127.0.0.1:${this.#port}`, token, reconnect: false })
    this.#clients.add(client)
    await client.start()
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close()
    await this.stop()
  }
}

/** Whether the server of this build has the calls that the dashboard needs. */
export async function realRelayIsThere(): Promise<boolean> {
  const relay = new RealRelay()
  await relay.start()
  try {
    const answers = await Promise.all([
      fetch(new URL('../api/server', relay.url), { headers: { 'x-api-key': FULL_KEY } }),
      fetch(relay.url),
    ])
    return answers.every(({ status }) => status === 200)
  } finally {
    await relay.close()
  }
}
