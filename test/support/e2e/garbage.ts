import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { within } from '../wait.js'
import { type Scene, type ServerProcess, sha256 } from './scene.js'
import { socksAddress } from './socks.js'

/** Reproducible random bytes (xorshift32). */
export function garbage(seed: number, length: number): Buffer {
  let state = seed * 2_654_435_761 || 1
  return Buffer.from(
    Array.from({ length }, () => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return state & 255
    }),
  )
}

/** Sends bytes to a port and ends the connection; gives what came back until the other side ended it too. */
export async function throwAt(scene: Scene, port: number, ...parts: readonly (string | Uint8Array)[]): Promise<Buffer> {
  const socket = scene.connect(port)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const closed = once(socket, 'close').catch(() => {})
  for (const part of parts) socket.write(part)
  socket.end()
  await within(closed, 'end of the connection')
  return Buffer.concat(chunks)
}

/** The query of the URL form of authentication, each of another instance. */
export function query(token: string, reverse: boolean): string {
  return `?token=${sha256(token)}&reverse=${reverse}&instance=${randomUUID()}`
}

/** A WebSocket to the server, and every message it received. */
export class RawLink {
  readonly received: Buffer[] = []
  readonly closed: Promise<unknown>
  readonly #ws: WebSocket

  constructor(ws: WebSocket) {
    this.#ws = ws
    ws.on('error', () => {})
    ws.on('message', (message: Buffer) => this.received.push(message))
    this.closed = once(ws, 'close').catch(() => {})
  }

  static async open(scene: Scene, { url }: ServerProcess, search = ''): Promise<RawLink> {
    const ws = new WebSocket(`${url}/socket${search}`, { perMessageDeflate: false })
    scene.own(() => ws.terminate())
    const link = new RawLink(ws)
    await within(once(ws, 'open'), 'open WebSocket')
    return link
  }

  send(...messages: readonly (Uint8Array | string)[]): void {
    for (const message of messages) this.#ws.send(message)
  }

  /** Waits for the server to end the link. */
  async ended(): Promise<void> {
    await within(this.closed, 'end of the WebSocket by the server')
  }

  async close(): Promise<void> {
    this.#ws.close()
    await this.ended()
  }

  /** The first message of a type, past or to come. */
  async message(type: number): Promise<Buffer> {
    const find = (): Buffer | undefined => this.received.find((message) => message[1] === type)
    const wait = async (): Promise<Buffer> => {
      for (;;) {
        const found = find()
        if (found !== undefined) return found
        await once(this.#ws, 'message')
      }
    }
    return await within(wait(), `message of type ${type}`)
  }
}

const CHANNEL = Buffer.alloc(16, 0xab)

/** Message types of the wire protocol that the tests name. */
export const TYPE = { authResponse: 2, connectResponse: 5, connectorResponse: 8 } as const

/** Connect (tcp): asks for a connection to a loopback port. */
export function connectMessage(port: number): Buffer {
  const [, ...address] = socksAddress('localhost', port)
  return Buffer.concat([Buffer.of(1, 3, 1), CHANNEL, Buffer.from(address)])
}

/** Connector (add): asks for a connector token. */
export function connectorMessage(token: string): Buffer {
  return Buffer.concat([Buffer.of(1, 7), CHANNEL, Buffer.of(token.length), Buffer.from(token), Buffer.of(1)])
}

/** Every message type, cut short and with a random body. */
export function brokenMessages(seed: number): readonly Buffer[] {
  const types = [...Array.from({ length: 16 }, (_, type) => type), 0x7f, 0xff]
  return types.flatMap((type) =>
    [0, 1, 17, 40, 300].map((size) => Buffer.concat([Buffer.of(1, type), garbage(seed + type, size)])),
  )
}
