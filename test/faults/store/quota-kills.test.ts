import { describe, expect, it } from 'vitest'
import { Client } from '../../../src/index.js'
import { type Scene, sceneOfTest } from '../../support/e2e/scene.js'
import { tcpTarget } from '../../support/e2e/targets.js'
import { eventually } from '../../support/wait.js'
import { between, seeded } from '../fuzz/random.js'
import { DurableServer, idOf } from './durable-scene.js'

const SERVERS = 17
const KILLS = 3
/** So long a server lives at most, by what it lets through: longer than what a kill may forget. */
const LIFE_MS = 16_000
/** What a kill may forget at most. */
const FORGOTTEN_MS = 10_000
const RATE = 200_000
/** Counted by a server that was killed before it had left its machine. */
const UNDER_WAY_BYTES = 512 * 1_024
const CHUNK = Buffer.alloc(16 * 1_024)

/** What came at a destination, and when. */
class Sink {
  readonly #arrivals: { readonly at: number; readonly bytes: number }[] = []
  bytes = 0

  take(bytes: number): void {
    this.bytes += bytes
    this.#arrivals.push({ at: performance.now(), bytes: this.bytes })
  }

  /** What had come by then. */
  bytesAt(time: number): number {
    return this.#arrivals.findLast(({ at }) => at <= time)?.bytes ?? 0
  }
}

/** Sends as much as goes through, on one stream after the other, until it is ended. @param back settles when the server is there */
function upload(client: Client, port: number, back: () => Promise<void>): { end(): void } {
  let ended = false
  const next = async (): Promise<void> => {
    while (!ended) {
      try {
        const stream = await client.dial('127.0.0.1', port)
        await new Promise<void>((resolve) => {
          const more = (): void => {
            while (!ended && !stream.destroyed && stream.write(CHUNK));
            if (ended) stream.destroy()
          }
          stream
            .on('drain', more)
            .on('error', () => {})
            .on('close', resolve)
            .resume()
          more()
        })
      } catch {
        // the server is away
        await back()
      }
    }
  }
  void next()
  return { end: () => (ended = true) }
}

async function live(scene: Scene, seed: number): Promise<void> {
  const server = await DurableServer.start(scene)
  const policy = { rate: { up: RATE, burst: 16_384 }, quota: { bytes: 1_000_000_000_000, period: 'month' } }
  const id = idOf(await server.ask('POST', 'token', { type: 'forward', token: 'secret', policy }))
  const sink = new Sink()
  const port = await tcpTarget(scene, (socket) => socket.on('data', ({ length }: Buffer) => sink.take(length)))
  const client = new Client({ url: server.running.url, token: 'secret' })
  scene.own(() => client.close())
  await client.start()
  let back = Promise.resolve()
  const sending = upload(client, port, () => back)
  scene.own(() => sending.end())
  const random = seeded(seed)
  let known = { counted: 0, arrived: 0 }
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const enough = known.arrived + between(random, LIFE_MS / 2, LIFE_MS) * (RATE / 1_000)
    await eventually('bytes at the destination', () => sink.bytes >= enough || undefined)
    const killed = server.kill()
    back = killed.then(() => server.restart())
    await killed
    const killedAt = performance.now()
    await back
    const { body } = await server.ask('GET', `tokens/${id}/usage`)
    const { up } = body.total as { up: number }
    const { used } = body.quota as { used: number }
    const lasting = sink.bytesAt(killedAt - FORGOTTEN_MS) - known.arrived
    expect(up - known.counted).toBeGreaterThanOrEqual(Math.max(0, lasting))
    expect(up - known.counted).toBeLessThanOrEqual(sink.bytes - known.arrived + UNDER_WAY_BYTES)
    expect(used).toBe(up)
    known = { counted: up, arrived: sink.bytes }
  }
}

describe('counters of a quota', () => {
  const scene = sceneOfTest()

  it(`lose no more than ${FORGOTTEN_MS / 1_000} s to a kill, ${SERVERS * KILLS} times`, {
    timeout: 240_000,
  }, async () => {
    const seeds = Array.from({ length: SERVERS }, (_, index) => 500 + index)
    await Promise.all(seeds.map((seed) => live(scene, seed)))
  })
})
