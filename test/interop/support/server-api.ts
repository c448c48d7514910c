import type { Scene } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import type { Deployed } from './deployed.js'
import { type Side, startServer } from './mixed-tunnel.js'

const KEY = 'key of the tests'

export interface TokenStatus {
  readonly token: string
  readonly type: string
  readonly clients_count: number
  readonly port?: number
  readonly connector_tokens?: readonly string[]
}

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** A server of either side that is managed by its HTTP API. */
export class ManagedServer {
  readonly port: number

  constructor(port: number) {
    this.port = port
  }

  static async start(scene: Scene, deployed: Deployed, side: Side): Promise<ManagedServer> {
    const { serverPort } = await startServer(scene, deployed, side, ['-k', KEY])
    return new ManagedServer(serverPort)
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`
  }

  async call(method: string, path: string, body?: unknown, key = KEY): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: { 'X-API-Key': key },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : { text } }
  }

  async add(body: Readonly<Record<string, unknown>>): Promise<Answer> {
    return await this.call('POST', '/api/token', body)
  }

  async remove(token: string): Promise<Answer> {
    return await this.call('DELETE', `/api/token/${token}`)
  }

  async status(): Promise<Answer> {
    return await this.call('GET', '/api/status')
  }

  async token(name: string): Promise<TokenStatus | undefined> {
    const { body } = await this.status()
    return (body.tokens as readonly TokenStatus[]).find(({ token }) => token === name)
  }

  /** Adds a reverse token P with a SOCKS5 port, and a connector token C for it. @returns the port */
  async addAgent(): Promise<number> {
    const port = await freePort()
    await this.add({ type: 'reverse', token: 'P', port })
    await this.add({ type: 'connector', token: 'C', reverse_token: 'P' })
    return port
  }
}
