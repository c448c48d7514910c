import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { Client, Server } from '../../../src/index.js'
import { freePort } from '../../support/ports.js'
import { FULL_KEY, READER_KEY, type RelayUnderTest } from './relay.js'

/** More than a test takes. */
const LONG_MS = 600_000

/** A relay server of this repository, with clients that are its own library's. */
export class RealRelay implements RelayUnderTest {
  #server: Server | undefined
  #port = 0
  #draining = false
  #keys: readonly { readonly name: string; readonly role: 'full' | 'read-only'; readonly key: string }[] = [
    { name: 'default', role: 'full', key: FULL_KEY },
    { name: 'watcher', role: 'read-only', key: READER_KEY },
  ]
  readonly #echo = createServer((socket) => socket.on('error', () => {}).pipe(socket))
  readonly #clients = new Set<Client>()

  get url(): string {
    return `http://127.0.0.1:${this.#port}/dashboard/`
  }

  async start(): Promise<void> {
    // kept while the relay is away
    if (this.#port === 0) this.#port = await freePort()
    this.#server = new Server({ host: '127.0.0.1', port: this.#port, apiKeys: this.#keys })
    await this.#server.listen()
  }

  async stop(): Promise<void> {
    // a server that drains is gone when its streams are
    if (this.#draining) await this.#endClients()
    this.#draining = false
    await this.#server?.close()
    this.#server = undefined
  }

  async drain(): Promise<void> {
    this.#draining = true
    void this.#server?.close({ drainMs: LONG_MS, drainIdleMs: LONG_MS })
  }

  async revoke(key: string): Promise<void> {
    this.#keys = this.#keys.filter((kept) => kept.key !== key)
    await this.stop()
    await this.start()
  }

  async connect(token: string): Promise<void> {
    await this.#client(token)
  }

  async carry(token: string, bytes: number): Promise<string> {
    const client = await this.#client(token)
    if (!this.#echo.listening) await once(this.#echo.listen(0, '127.0.0.1'), 'listening')
    const { port } = this.#echo.address() as AddressInfo
    const stream = await client.dial('127.0.0.1', port)
    stream.on('error', () => {})
    stream.write(Buffer.alloc(bytes))
    let back = 0
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      back += (chunk as Buffer).byteLength
      if (back >= bytes) break
    }
    return `127.0.0.1:${port}`
  }

  async #client(token: string): Promise<Client> {
    const client = new Client({ url: `ws://127.0.0.1:${this.#port}`, token, reconnect: false })
    this.#clients.add(client)
    await client.start()
    return client
  }

  async #endClients(): Promise<void> {
    for (const client of this.#clients) await client.close()
  }

  async close(): Promise<void> {
    await this.#endClients()
    await this.stop()
    this.#echo.close()
  }
}
