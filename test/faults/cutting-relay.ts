import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Scene } from '../support/e2e/scene.js'

/** Pauses shorter than this are put off until they are worth a timer. */
const SHORTEST_PAUSE_MS = 4
/** What may be on its way through a delay before its sender waits. */
const UNDER_WAY_LIMIT = 4 * 1024 * 1024

export interface PathOptions {
  /** Bytes a second and direction of one connection. @default unlimited */
  rate?: number
  /** How long each piece travels. @default 0 */
  delayMs?: number
  /** Every byte in a segment of its own. @default false */
  singleBytes?: boolean
}

/** Carries TCP connections to a port of this machine, and fails them on request. */
export class CuttingRelay {
  /** May be changed at any time. */
  readonly path: PathOptions
  readonly #server: Server
  readonly #target: number
  readonly #pairs = new Set<Pair>()
  #dropping = false
  #stalled: { readonly over: Promise<void>; readonly end: () => void } | undefined
  #carried = 0
  #held = 0
  #lost = 0
  readonly #counting = new Set<{ readonly at: number; readonly resolve: () => void }>()

  private constructor(target: number, path: PathOptions) {
    this.#target = target
    this.path = path
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near))
  }

  static async open(scene: Scene, target: number, path: PathOptions = {}): Promise<CuttingRelay> {
    const relay = new CuttingRelay(target, { ...path })
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    scene.own(() => {
      relay.#server.close()
      relay.go()
      for (const pair of relay.#pairs) pair.reset()
    })
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** For --url. */
  get url(): string {
    return `ws://127.0.0.1:${this.port}`
  }

  /** Pieces that a stall holds back. */
  get held(): number {
    return this.#held
  }

  /** Bytes of dropped connections that went nowhere; an end counts as one. */
  get lost(): number {
    return this.#lost
  }

  /** Settles when so many more bytes have passed, of all connections and directions together. */
  passed(bytes: number): Promise<void> {
    return new Promise((resolve) => this.#counting.add({ at: this.#carried + bytes, resolve }))
  }

  /** Resets every connection, on both sides. @returns how many */
  cut(): number {
    const pairs = [...this.#pairs]
    // what it had in hand may take its time to be given up
    this.#pairs.clear()
    for (const pair of pairs) pair.reset()
    return pairs.length
  }

  /** Forgets every connection as a NAT does: nothing passes any more and nobody is told. New ones are reset until `heal()`. */
  drop(): void {
    this.#dropping = true
    for (const pair of this.#pairs) pair.forgotten = true
  }

  heal(): void {
    this.#dropping = false
  }

  /** Holds everything back until `go()`; nothing is lost. */
  stall(): void {
    if (this.#stalled !== undefined) return
    let end = (): void => {}
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#stalled = { over, end }
  }

  go(): void {
    this.#stalled?.end()
    this.#stalled = undefined
  }

  #accept(near: Socket): void {
    near.on('error', () => {})
    if (this.#dropping) return void near.resetAndDestroy()
    const far = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const pair = new Pair(near, far)
    far.on('error', () => pair.reset())
    this.#pairs.add(pair)
    const ways = [this.#carry(pair, near, far), this.#carry(pair, far, near)]
    void Promise.all(ways).then(() => this.#pairs.delete(pair))
  }

  async #carry(pair: Pair, from: Socket, to: Socket): Promise<void> {
    const way = new Way(to, this.path)
    try {
      // a loop that is left would destroy the socket with both its directions
      for await (const bytes of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        await this.#hold()
        if (pair.forgotten) this.#lost += bytes.length
        else await way.pass(bytes)
        this.#count(bytes.length)
      }
      await way.end(() => pair.forgotten)
      if (pair.forgotten) this.#lost += 1
    } catch {
      pair.reset()
    }
  }

  async #hold(): Promise<void> {
    this.#held += 1
    await this.#stalled?.over
    this.#held -= 1
  }

  #count(bytes: number): void {
    this.#carried += bytes
    for (const one of this.#counting) {
      if (this.#carried < one.at) continue
      this.#counting.delete(one)
      one.resolve()
    }
  }
}

/** The two sockets of one carried connection. */
class Pair {
  /** Nothing of it passes any more. */
  forgotten = false
  readonly #near: Socket
  readonly #far: Socket

  constructor(near: Socket, far: Socket) {
    this.#near = near
    this.#far = far
  }

  reset(): void {
    this.#near.resetAndDestroy()
    if (this.#far.connecting) this.#far.destroy()
    else this.#far.resetAndDestroy()
  }
}

/** One direction of one connection. */
class Way {
  readonly #to: Socket
  readonly #path: PathOptions
  /** When the line has carried what it was given. */
  #free = 0
  #underWay = 0
  #last: Promise<void> = Promise.resolve()

  constructor(to: Socket, path: PathOptions) {
    this.#to = to
    this.#path = path
  }

  /** Settles when the next piece may come. @throws when the connection is gone */
  async pass(bytes: Buffer): Promise<void> {
    await this.#pace(bytes.length)
    const { delayMs = 0 } = this.#path
    if (delayMs === 0 && this.#underWay === 0) return await this.#write(bytes)
    this.#underWay += bytes.length
    this.#last = Promise.all([this.#last, sleep(delayMs)]).then(async () => {
      await this.#write(bytes)
      this.#underWay -= bytes.length
    })
    if (this.#underWay > UNDER_WAY_LIMIT) await this.#last
    else this.#last.catch(() => {})
  }

  async end(forgotten: () => boolean): Promise<void> {
    await this.#last
    if (!forgotten()) this.#to.end()
  }

  async #pace(length: number): Promise<void> {
    const { rate } = this.#path
    if (rate === undefined) return
    const now = performance.now()
    this.#free = Math.max(now, this.#free) + (length * 1_000) / rate
    if (this.#free - now > SHORTEST_PAUSE_MS) await sleep(this.#free - now)
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#path.singleBytes !== true) return await this.#give(bytes)
    for (const byte of bytes) {
      // so that a reader in this process has seen the one before
      await turn()
      await this.#give(Buffer.of(byte))
    }
  }

  async #give(bytes: Buffer): Promise<void> {
    if (this.#to.destroyed) throw new Error('the connection is gone')
    if (this.#to.write(bytes)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#to.off('drain', done).off('close', done)
        resolve()
      }
      this.#to.on('drain', done).on('close', done)
    })
  }
}
