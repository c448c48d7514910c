import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { RawData, WebSocket } from 'ws'
import { within } from '../../support/wait.js'
import { Bell } from './base-bell.js'
import { data, disconnect, type Kind, type Message, read, VERSION } from './base-wire.js'

/** The WebSocket of a scripted peer: does what it is told, and nothing by itself but to answer pings. */
export class BaseLink {
  /** Everything that came, in order. */
  readonly received: Message[] = []
  /** The close code that came, 1006 when none did. */
  readonly closed: Promise<number>
  /** Written into every message sent. */
  version = VERSION
  /** Hears of every message. */
  onMessage: ((message: Message) => void) | undefined
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #taken = new Set<Message>()
  readonly #came = new Bell()
  #over = false

  constructor(ws: WebSocket, socket: Socket) {
    this.#ws = ws
    this.#socket = socket
    ws.on('error', () => {})
    ws.on('message', (raw: RawData) => {
      const message = read(raw as Buffer)
      this.received.push(message)
      this.onMessage?.(message)
      this.#came.ring()
    })
    this.closed = new Promise((resolve) => {
      ws.on('close', (code: number) => {
        this.#over = true
        resolve(code)
      })
    })
  }

  get isClosed(): boolean {
    return this.#over
  }

  /** Bytes handed to send() that have not reached the kernel. */
  get queuedBytes(): number {
    return this.#ws.bufferedAmount
  }

  send(...messages: readonly Uint8Array[]): void {
    for (const message of messages) this.#ws.send(this.#inOurVersion(message))
  }

  /** Sends a message as a text frame. */
  sendText(message: Uint8Array): void {
    this.#ws.send(this.#inOurVersion(message).toString('latin1'), { binary: false })
  }

  /** Sends bytes that are not to be touched. */
  sendRaw(message: Uint8Array): void {
    this.#ws.send(message)
  }

  /** The next message of a kind that was not taken before, and (`id`) that belongs to a channel. */
  async next(kind: Kind, id?: string): Promise<Message> {
    const message = await this.until(`${kind} ${id ?? ''}`, () =>
      this.all(kind, id).find((found) => !this.#taken.has(found)),
    )
    this.#taken.add(message)
    return message
  }

  /** What `probe` finds in what came, now or later. */
  async until<T>(what: string, probe: () => T | undefined): Promise<T> {
    const come = (): string => `${what} (came: ${this.received.map(({ kind }) => kind).slice(-20)})`
    return await this.#came.until(come, probe)
  }

  /** Everything of a kind so far. */
  all(kind: Kind, id?: string): readonly Message[] {
    return this.received.filter((message) => message.kind === kind && (id === undefined || message.id === id))
  }

  /** The bytes of a channel so far. */
  bytes(id: string): Buffer {
    return Buffer.concat(this.all('data', id).map((message) => message.data))
  }

  /** Waits for so many bytes of a channel. */
  async bytesOf(id: string, length: number): Promise<Buffer> {
    let [seen, bytes] = [0, 0]
    await this.until(`${length} bytes of channel ${id}`, () => {
      for (; seen < this.received.length; seen += 1) {
        const message = this.received[seen]
        if (message?.kind === 'data' && message.id === id) bytes += message.data.length
      }
      return bytes >= length || undefined
    })
    return this.bytes(id)
  }

  /** Ends a channel as a deployed endpoint does whose local socket reached its end. */
  finish(id: string, ...last: readonly (Uint8Array | string)[]): void {
    this.send(...last.map((bytes) => data(id, bytes)), disconnect(id, 'EOF'))
  }

  /** Stops reading; the kernel's buffers fill up. */
  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    this.#ws.resume()
  }

  /** Whether the other end reads and answers. */
  async ponged(): Promise<void> {
    const pong = once(this.#ws, 'pong')
    this.#ws.ping()
    await within(pong, 'pong')
  }

  /** Ends the TCP connection without a Close frame. */
  drop(): void {
    this.#socket.end()
  }

  /** Ends it by a TCP reset. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  /** Ends it in order. */
  close(code = 1000): void {
    this.#ws.close(code)
  }

  #inOurVersion(message: Uint8Array): Buffer {
    const copy = Buffer.from(message)
    copy[0] = this.version
    return copy
  }
}
