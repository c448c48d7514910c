import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { Scene } from '../../support/e2e/scene.js'
import { tcpTarget } from '../../support/e2e/targets.js'
import { FrameAudit } from './frames/frame-audit.js'
import { readHeader } from './frames/raw-websocket.js'
import { encodeFrame, type Frame, FrameReader, type FrameToSend, OPCODE } from './frames/ws-frames.js'

/** How a stream of bytes is cut into writes. */
export type Cut = 'pieces' | 'bytes'

export interface ReframeOptions {
  readonly targetPort: number
  /** Begins the sequence of random numbers, so that a failure can be repeated. */
  readonly seed: number
  /** `bytes` writes each byte alone: for little traffic. @default 'pieces' */
  readonly cut?: Cut
}

export interface Reframer {
  readonly port: number
  /** What clients and servers behind the proxy sent, all connections together. */
  readonly seen: { readonly client: FrameAudit[]; readonly server: FrameAudit[] }
  /** Pings of the proxy's own: sent, and answered with their payload in their order. */
  readonly pings: { sent: number; answered: number }
  /** Frames written in place of those that came. */
  readonly counts: { fragments: number; empty: number; pongs: number }
}

/** Most fragments of one message: receivers bound their number. */
const MAX_PARTS = 60
const MARK = 'reframe '

/**
 * A proxy that takes WebSocket messages apart: fragments of random sizes, some of them empty, pings and unsolicited
 * pongs between them, new masks, and writes that end anywhere. What a strict peer must accept, and no library sends.
 */
export async function reframer(scene: Scene, options: ReframeOptions): Promise<Reframer> {
  const seen: Reframer['seen'] = { client: [], server: [] }
  const pings = { sent: 0, answered: 0 }
  const counts = { fragments: 0, empty: 0, pongs: 0 }
  let seed = options.seed
  const port = await tcpTarget(scene, (client) => {
    const server = connect({ port: options.targetPort, host: '127.0.0.1', allowHalfOpen: true })
    for (const [socket, other] of [[client, server] as const, [server, client] as const]) {
      socket.setNoDelay(true)
      socket.on('error', () => other.destroy()).on('close', () => other.destroy())
    }
    // pings that travel one way are answered by pongs that travel the other
    const toServer: string[] = []
    const toClient: string[] = []
    const shared = { cut: options.cut ?? 'pieces', pings, counts }
    const upward = new Direction({
      ...shared,
      sender: 'client',
      random: random(seed++),
      sent: toServer,
      owed: toClient,
    })
    const downward = new Direction({
      ...shared,
      sender: 'server',
      random: random(seed++),
      sent: toClient,
      owed: toServer,
    })
    seen.client.push(upward.audit)
    seen.server.push(downward.audit)
    // a connection that ends in the middle has been destroyed, its partner with it
    void upward.run(client, server).catch(() => {})
    void downward.run(server, client).catch(() => {})
  })
  return { port, seen, pings, counts }
}

interface DirectionOptions extends Pick<Reframer, 'pings' | 'counts'> {
  readonly sender: 'client' | 'server'
  readonly cut: Cut
  /** Uniform in 0..1. */
  readonly random: () => number
  /** Payloads of pings that went this way and were not answered yet. */
  readonly sent: string[]
  /** The same of the other way: their answers come this way. */
  readonly owed: string[]
}

class Direction {
  readonly audit: FrameAudit
  readonly #options: DirectionOptions
  #inMessage = false

  constructor(options: DirectionOptions) {
    this.#options = options
    this.audit = new FrameAudit(options.sender)
  }

  async run(from: Socket, to: Socket): Promise<void> {
    await write(to, Buffer.from(await readHeader(from), 'latin1'))
    const reader = new FrameReader()
    for await (const chunk of from) {
      for (const frame of reader.push(chunk as Buffer)) {
        this.audit.see(frame)
        for (const part of this.#inParts(frame)) await this.#deliver(to, part)
      }
    }
    to.end()
  }

  #inParts(frame: Frame): readonly FrameToSend[] {
    const { opcode, fin, payload } = frame
    if (opcode === OPCODE.pong && this.#isAnswer(payload)) return []
    if (opcode >= OPCODE.close)
      return opcode === OPCODE.close ? [{ opcode, payload }] : [{ opcode, payload }, ...this.#control()]
    const parts: FrameToSend[] = []
    const cuts = this.#cuts(payload.length)
    cuts.forEach((end, index) => {
      const piece = payload.subarray(cuts[index - 1] ?? 0, end)
      const last = index === cuts.length - 1
      const begins = index === 0 && !this.#inMessage
      parts.push(
        { opcode: begins ? opcode : OPCODE.continuation, payload: piece, fin: last && fin },
        ...this.#control(),
      )
      this.#options.counts.fragments += 1
      if (piece.length === 0) this.#options.counts.empty += 1
    })
    this.#inMessage = !fin
    return parts
  }

  /** Ends of the fragments, the last of them the message's; equal ones make a fragment empty. */
  #cuts(length: number): readonly number[] {
    const { random } = this.#options
    const parts = 1 + Math.floor(random() ** 2 * MAX_PARTS)
    const cuts = Array.from({ length: parts - 1 }, () => Math.floor(random() * (length + 1)))
    if (random() < 0.3) cuts.push(0)
    if (random() < 0.3) cuts.push(length, length)
    return [...cuts.sort((a, b) => a - b), length]
  }

  #control(): readonly FrameToSend[] {
    const { random, pings, counts, sent } = this.#options
    const dice = random()
    if (dice < 0.03) {
      counts.pongs += 1
      return [{ opcode: OPCODE.pong, payload: randomBytes(Math.floor(random() * 126)) }]
    }
    // peers may answer the latest ping alone (RFC 6455 section 5.5.3): one at a time
    if (dice > 0.1 || sent.length > 0) return []
    const payload = `${MARK}${pings.sent}`.padEnd(8 + Math.floor(random() * 118), '.')
    pings.sent += 1
    sent.push(payload)
    return [{ opcode: OPCODE.ping, payload: Buffer.from(payload) }]
  }

  #isAnswer(payload: Buffer): boolean {
    const text = payload.toString('latin1')
    if (!text.startsWith(MARK)) return false
    if (this.#options.owed.shift() !== text) this.audit.violations.push(`a pong that answers nothing: ${text}`)
    this.#options.pings.answered += 1
    return true
  }

  async #deliver(to: Socket, frame: FrameToSend): Promise<void> {
    const bytes = encodeFrame(frame, this.#options.sender === 'client')
    for (let at = 0; at < bytes.length; ) {
      const end = at + this.#piece(bytes.length)
      await write(to, bytes.subarray(at, end))
      at = end
    }
  }

  /** How much is written at once: a few bytes that split the frame's head, or the rest of what is small. */
  #piece(length: number): number {
    const { random, cut } = this.#options
    if (cut === 'bytes') return 1
    const dice = random()
    if (dice < 0.15) return 1 + Math.floor(random() * 4)
    return dice < 0.5 ? 1 + Math.floor(random() * length) : 64 * 1024
  }
}

/** One segment, if the other end is quick: the next write waits for this one. */
async function write(to: Socket, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => to.write(bytes, (error) => (error ? reject(error) : resolve())))
  await turn()
}

/** Reproducible numbers in 0..1 (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
