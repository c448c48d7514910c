import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import { type Scene, sha256 } from '../../support/e2e/scene.js'
import { Bell } from './base-bell.js'
import { BaseLink } from './base-link.js'
import { auth, type Kind, log, type Message, NEWER_VERSION } from './base-wire.js'

export interface SpreadOptions {
  readonly url: string
  readonly token: string
  readonly reverse: boolean
  readonly form: 'url' | 'in-band'
  /** Links that it wants. */
  readonly threads: number
}

/**
 * A scripted client of release 1.10.3 with several links: every message goes to the next link that exists, whether that is
 * admitted or not. An attempt that is refused is made again when the test says that its back-off is over.
 */
export class SpreadClient {
  /** Everything that came, on whatever link. */
  readonly received: Message[] = []
  /** How attempts were refused so far: the status before the upgrade, or the code that closed the WebSocket. */
  readonly refusals: number[] = []
  readonly #scene: Scene
  readonly #options: SpreadOptions
  readonly #instance = randomUUID()
  readonly #changed = new Bell()
  readonly #silent = new Set<BaseLink>()
  #unanswered = false
  #links: BaseLink[] = []
  #turn = 0
  /** Links that are to be asked for again. */
  #missing: number

  constructor(scene: Scene, options: SpreadOptions) {
    this.#scene = scene
    this.#options = options
    this.#missing = options.threads
  }

  /** Links that exist, admitted or not. */
  get links(): readonly BaseLink[] {
    return this.#links
  }

  /** The link that was admitted last. */
  get admitted(): BaseLink | undefined {
    return this.#links.findLast((link) => link.all('authResponse').some(({ success }) => success))
  }

  /** Asks for all links that are missing: at first, and whenever the back-off is over. */
  connect(): void {
    const missing = this.#missing
    this.#missing = 0
    for (let count = 0; count < missing; count += 1) this.#knock()
  }

  /** Sends each message over the next link. */
  send(...messages: readonly Uint8Array[]): void {
    for (const message of messages) {
      this.#turn = (this.#turn + 1) % this.#links.length
      this.#links[this.#turn]?.send(message)
    }
  }

  /** What `probe` finds, now or later. */
  async until<T>(what: string, probe: () => T | undefined): Promise<T> {
    const state = (): string => `${what} (links: ${this.#links.length}, refusals: ${this.refusals})`
    return await this.#changed.until(state, probe)
  }

  /** Waits until one link is admitted and no attempt is under way. */
  async settled(): Promise<void> {
    const { threads } = this.#options
    await this.until(
      'one link',
      () => (this.admitted && this.#links.length === 1 && this.#missing === threads - 1) || undefined,
    )
  }

  /** From now on the links that exist answer no ping. */
  fallSilent(): void {
    for (const link of this.#links) this.#silent.add(link)
  }

  /** Waits until a link that is silent has been pinged. */
  async pinged(): Promise<void> {
    await this.until('ping', () => this.#unanswered || undefined)
  }

  /** The first message of a kind for a channel. */
  async next(kind: Kind, id?: string): Promise<Message> {
    return await this.until(`${kind} ${id ?? ''}`, () =>
      this.received.find((message) => message.kind === kind && (id === undefined || message.id === id)),
    )
  }

  /** The bytes of a channel, once there are so many. */
  async bytesOf(id: string, length: number): Promise<Buffer> {
    const found: Buffer[] = []
    let [seen, bytes] = [0, 0]
    await this.until(`${length} bytes`, () => {
      for (; seen < this.received.length; seen += 1) {
        const message = this.received[seen]
        if (message?.kind !== 'data' || message.id !== id) continue
        found.push(message.data)
        bytes += message.data.length
      }
      return bytes >= length || undefined
    })
    return Buffer.concat(found)
  }

  #knock(): void {
    const { url, token, reverse, form } = this.#options
    const query = form === 'url' ? `?instance=${this.#instance}&reverse=${reverse}&token=${sha256(token)}` : ''
    const ws = new WebSocket(`${url}/socket${query}`, { perMessageDeflate: false, autoPong: false })
    this.#scene.own(() => ws.terminate())
    // both end the attempt
    ws.on('error', () => {})
    ws.on('unexpected-response', (_, response) => this.#refused(response.statusCode ?? 0))
    // in the tick of the upgrade: what comes with it is not missed
    ws.on('upgrade', (response) => {
      const link = new BaseLink(ws, response.socket)
      link.version = NEWER_VERSION
      link.onMessage = (message) => {
        this.received.push(message)
        if (message.kind === 'log') this.#answerProbe(link, message)
        this.#changed.ring()
      }
      ws.on('ping', (payload: Buffer) => {
        if (!this.#silent.has(link)) return ws.pong(payload)
        this.#unanswered = true
        this.#changed.ring()
      })
      ws.on('close', (code) => this.#gone(link, code))
      ws.on('open', () => {
        if (form === 'in-band') link.send(auth(token, reverse, this.#instance.replaceAll('-', '')))
        this.#links.push(link)
        this.#changed.ring()
      })
    })
  }

  #answerProbe(link: BaseLink, { json }: Message): void {
    const { level, msg } = json as { readonly level: string; readonly msg: string }
    if (level === 'trace' && msg.startsWith('probe:')) link.send(log('trace', 'pong:{"version":"v1.10.3"}'))
  }

  #gone(link: BaseLink, code: number): void {
    this.#links = this.#links.filter((other) => other !== link)
    this.#refused(code)
  }

  #refused(status: number): void {
    this.refusals.push(status)
    this.#missing += 1
    this.#changed.ring()
  }
}
