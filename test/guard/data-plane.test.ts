import { once } from 'node:events'
import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { beforeAll, describe, expect, it } from 'vitest'
import { MIB } from '../../src/protocol/limits.js'
import { ChunkQueue } from '../../src/streams/chunk-queue.js'
import { forwardPair } from '../node/library-fixture.js'
import { countsSoFar, installCounters, resetCounts, type Traffic } from './counters.js'

const WARM_UP_BYTES = 16 * MIB
const MOVED_BYTES = 32 * MIB
const ROUNDS = 3

/** Of layers in the table below; what the layers that it doesn't name copy is `copied by others`. */
const COPIED_BY = 'copied by '
const OTHERS = `${COPIED_BY}others`
const TOUCHED = 'KiB touched'
const WORKING_SET = 'working set, KiB'
/** Figures that begin so may be far below their limit: the code may do without, or a transfer happen to need little. */
const MAY_BE_LITTLE = ['allocations', COPIED_BY, WORKING_SET]

type Figures = Readonly<Record<string, number>>

/**
 * What a MiB may take, both processes of the tunnel together. Copies in MiB: they hardly move, so a copy more can't hide. The
 * others depend on how large the reads happen to be, and have room for that. Lower them when the code does with less: what is
 * below a quarter of its limit fails as well, but for {@link MAY_BE_LITTLE}.
 *
 * `KiB touched` is the distinct memory that is written while a MiB moves, by sockets that read into it and by copies, and
 * `working set` that of the whole transfer. Both ends are in one process here and share their memory. Measured: 1,600 down and
 * 1,700 up, and 2,000 to 6,500 in a transfer; fresh memory for each read or copy would make that 66,000. How deep the queues
 * of a transfer get varies from run to run, and 9,400 was seen once: the limit of the working set is a quarter of fresh memory.
 */
const LIMITS: Readonly<Record<'download' | 'upload', Figures>> = {
  download: {
    copied: 2.1,
    // server: out of the read buffer into a block
    [`${COPIED_BY}node/net`]: 1.05,
    // client: out of the read buffer into a message
    [`${COPIED_BY}node/websocket`]: 1.05,
    [OTHERS]: 0.05,
    allocations: 2,
    writes: 40,
    messages: 28,
    [TOUCHED]: 2_100,
    [WORKING_SET]: 16_000,
  },
  upload: {
    copied: 3.1,
    // client: out of the read buffer into a block
    [`${COPIED_BY}node/net`]: 1.05,
    // client: out of that into a masked frame; server: out of the read buffer into a message
    [`${COPIED_BY}node/websocket`]: 2.1,
    [OTHERS]: 0.05,
    allocations: 2,
    writes: 40,
    messages: 28,
    [TOUCHED]: 2_300,
    [WORKING_SET]: 16_000,
  },
}

async function move(worker: Worker, socks: number, bytes: number, up: boolean): Promise<void> {
  worker.postMessage({ socks, bytes, up })
  const [arrived] = (await once(worker, 'message')) as [number]
  expect(arrived).toBe(bytes)
}

async function measure(run: () => Promise<void>, limits: Figures): Promise<Figures> {
  resetCounts()
  await run()
  return figuresOf(countsSoFar(), limits)
}

function figuresOf(traffic: Traffic, limits: Figures): Figures {
  const perMib = (count: number): number => Number((count / (MOVED_BYTES / MIB)).toFixed(2))
  const copies = (bytes: number): number => Number((bytes / MOVED_BYTES).toFixed(3))
  const named = Object.keys(limits).filter((key) => key.startsWith(COPIED_BY) && key !== OTHERS)
  const ofNamed = named.map((key) => traffic.copiedBy[key.slice(COPIED_BY.length)] ?? 0)
  return {
    copied: copies(traffic.bytesCopied),
    ...Object.fromEntries(named.map((key, i) => [key, copies(ofNamed[i] ?? 0)])),
    [OTHERS]: copies(traffic.bytesCopied - ofNamed.reduce((sum, bytes) => sum + bytes, 0)),
    allocations: perMib(traffic.allocations),
    writes: perMib(traffic.writes),
    messages: perMib(traffic.messages),
    [TOUCHED]: traffic.kibTouched,
    [WORKING_SET]: traffic.workingSetKib,
  }
}

/** A machine that is busy with something else only makes them more. */
function leastOf(rounds: readonly Figures[]): Figures {
  const [first = {}] = rounds
  return Object.fromEntries(Object.keys(first).map((key) => [key, Math.min(...rounds.map((one) => one[key] ?? 0))]))
}

describe('what a MiB through the tunnel takes', () => {
  beforeAll(() => {
    installCounters()
    // counters that count nothing would pass
    resetCounts()
    const made = [new Uint8Array(4_096), new ArrayBuffer(4_096), Buffer.alloc(4_096), Buffer.allocUnsafeSlow(4_096)]
    expect([made.length, countsSoFar().allocations]).toEqual([4, 4])
    new Uint8Array(4_096).set(new Uint8Array(2_048), 1_024)
    expect(countsSoFar()).toMatchObject({ bytesCopied: 2_048, copiedBy: { elsewhere: 2_048 }, workingSetKib: 2 })
    joinChunks()
    expect(countsSoFar().copiedBy).toEqual({ elsewhere: 2_048, streams: 2_000 })
    expect(Object.getOwnPropertySymbols(new Socket()).map(String)).toContain('Symbol(kBufferCb)')
  })

  it.each([
    ['download', false],
    ['upload', true],
  ] as const)('%s: copies, allocations, writes, messages and memory stay within their limits', async (name, up) => {
    const { client } = await forwardPair({}, { socks: { port: 0 } })
    const socks = client.socksAddress?.port ?? 0
    const worker = new Worker(new URL('./ends.mjs', import.meta.url))
    try {
      await move(worker, socks, WARM_UP_BYTES, up)
      const limits = LIMITS[name]
      const rounds: Figures[] = []
      while (rounds.length < ROUNDS) rounds.push(await measure(() => move(worker, socks, MOVED_BYTES, up), limits))
      const measured = leastOf(rounds)
      process.stdout.write(`${name}, per MiB: ${JSON.stringify(measured)}\n`)
      for (const [key, limit] of Object.entries(limits)) {
        expect(measured[key], `${key} per MiB`).toBeLessThanOrEqual(limit)
        // a counter that counts nothing would pass
        if (!MAY_BE_LITTLE.some((free) => key.startsWith(free)))
          expect(measured[key], `${key} per MiB`).toBeGreaterThan(limit / 4)
      }
      expect(measured[WORKING_SET]).toBeGreaterThanOrEqual(measured[TOUCHED] ?? 0)
    } finally {
      await worker.terminate()
    }
  })
})

/** A copy that code of `src` makes: two chunks of 1,000 bytes become one. */
function joinChunks(): void {
  const queue = new ChunkQueue()
  queue.push(new Uint8Array(1_000))
  queue.push(new Uint8Array(1_000))
  queue.take(2_000)
}
