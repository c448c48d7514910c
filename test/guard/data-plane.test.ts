import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { beforeAll, describe, expect, it } from 'vitest'
import { MIB } from '../../src/protocol/limits.js'
import { forwardPair } from '../node/library-fixture.js'
import { type Counts, countsSoFar, installCounters, resetCounts } from './counters.js'

const WARM_UP_BYTES = 16 * MIB
const MOVED_BYTES = 32 * MIB
const ROUNDS = 3

/**
 * What a MiB may take, both processes of the tunnel together. `bytesCopied` in MiB: it hardly moves, so a copy more can't hide.
 * The others depend on how large the reads happen to be, and have room for that. Lower them when the code does with less.
 */
const LIMITS: Readonly<Record<'download' | 'upload', Counts>> = {
  // server: read into a message; client: the same
  download: { bytesCopied: 2.1, allocations: 2, writes: 40, messages: 28 },
  // client: read into a block, that into a masked frame; server: read into a message
  upload: { bytesCopied: 3.1, allocations: 2, writes: 40, messages: 28 },
}

async function move(worker: Worker, socks: number, bytes: number, up: boolean): Promise<void> {
  worker.postMessage({ socks, bytes, up })
  const [arrived] = (await once(worker, 'message')) as [number]
  expect(arrived).toBe(bytes)
}

async function measure(run: () => Promise<void>): Promise<Counts> {
  resetCounts()
  await run()
  const counts = countsSoFar()
  const perMib = (count: number): number => Number((count / (MOVED_BYTES / MIB)).toFixed(2))
  return {
    bytesCopied: Number((counts.bytesCopied / MOVED_BYTES).toFixed(3)),
    allocations: perMib(counts.allocations),
    writes: perMib(counts.writes),
    messages: perMib(counts.messages),
  }
}

/** A machine that is busy with something else only makes them more. */
function leastOf(rounds: readonly Counts[]): Counts {
  const least = (key: keyof Counts): number => Math.min(...rounds.map((counts) => counts[key]))
  return {
    bytesCopied: least('bytesCopied'),
    allocations: least('allocations'),
    writes: least('writes'),
    messages: least('messages'),
  }
}

describe('what a MiB through the tunnel takes', () => {
  beforeAll(() => {
    installCounters()
    // counters that count nothing would pass
    resetCounts()
    const made = [new Uint8Array(4_096), new ArrayBuffer(4_096), Buffer.alloc(4_096), Buffer.allocUnsafeSlow(4_096)]
    expect([made.length, countsSoFar().allocations]).toEqual([4, 4])
    new Uint8Array(4_096).set(new Uint8Array(1_000))
    expect(countsSoFar().bytesCopied).toBe(1_000)
  })

  it.each([
    ['download', false],
    ['upload', true],
  ] as const)('%s: copies, allocations, writes and messages stay within their limits', async (name, up) => {
    const { client } = await forwardPair({}, { socks: { port: 0 } })
    const socks = client.socksAddress?.port ?? 0
    const worker = new Worker(new URL('./ends.mjs', import.meta.url))
    try {
      await move(worker, socks, WARM_UP_BYTES, up)
      const rounds: Counts[] = []
      while (rounds.length < ROUNDS) rounds.push(await measure(() => move(worker, socks, MOVED_BYTES, up)))
      const measured = leastOf(rounds)
      process.stdout.write(`${name}, per MiB: ${JSON.stringify(measured)}\n`)
      const limits = LIMITS[name]
      for (const key of Object.keys(limits) as (keyof Counts)[]) {
        expect(measured[key], `${key} per MiB`).toBeLessThanOrEqual(limits[key])
        // a counter that counts nothing would pass
        if (key !== 'allocations') expect(measured[key], `${key} per MiB`).toBeGreaterThan(limits[key] / 4)
      }
    } finally {
      await worker.terminate()
    }
  })
})
