import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { ascending, HTTP_ANSWER, HTTP_REQUEST, numbers, openRoute, patternAt, receive, shareOf } from './common.mjs'

const BURST = 131_072
const microseconds = (/** @type {number} */ ms) => ms * 1_000

/** Downloads without end, in a thread of its own: reading must not hold up the echo here. */
function bulkBeside(/** @type {number} */ streams) {
  const moved = new BigInt64Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL('./beside.mjs', import.meta.url), {
    argv: process.argv.slice(2),
    workerData: { streams, moved },
  })
  return { moved: () => Number(Atomics.load(moved, 0)), end: () => worker.terminate() }
}

export async function echo() {
  const { ms = 1_000, size = 64, bulk = 0, warm = 200, enough = 300 } = numbers
  const socket = await openRoute()
  socket.write('E')
  const beside = bulk > 0 ? bulkBeside(bulk) : undefined
  while (beside?.moved() === 0) await sleep(5)
  await sleep(warm)
  const before = beside?.moved() ?? 0
  const took = []
  const began = performance.now()
  for (let now = began; now - began < ms || (took.length < enough && now - began < 4 * ms); ) {
    const sent = patternAt(took.length, size)
    socket.write(sent)
    if (!(await receive(socket, size)).equals(sent)) throw new Error(`echo ${took.length} is wrong`)
    const then = performance.now()
    took.push(then - now)
    now = then
  }
  const seconds = (performance.now() - began) / 1_000
  const bytes = (beside?.moved() ?? 0) - before
  await beside?.end()
  const sorted = ascending(took)
  const at = (/** @type {number} */ share) => microseconds(shareOf(sorted, share))
  return { count: took.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1), bulk: bytes / 1e9 / seconds }
}

export async function conns() {
  const { ms = 1_000, at_once: atOnce = 64 } = numbers
  const took = /** @type {number[]} */ ([])
  const began = performance.now()
  let ended = began
  const one = async () => {
    do {
      const start = performance.now()
      const socket = await openRoute()
      socket.write(HTTP_REQUEST)
      if (!(await receive(socket, HTTP_ANSWER.length)).equals(HTTP_ANSWER)) throw new Error('the answer is wrong')
      ended = performance.now()
      took.push(ended - start)
      socket.destroy()
    } while (ended - began < ms)
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  const sorted = ascending(took)
  return {
    count: took.length,
    seconds: (ended - began) / 1_000,
    p50: microseconds(shareOf(sorted, 0.5)),
    p99: microseconds(shareOf(sorted, 0.99)),
  }
}

async function exchange(
  /** @type {import('node:net').Socket} */ socket,
  /** @type {number} */ offset,
  /** @type {number} */ length,
) {
  const sent = patternAt(offset, length)
  socket.write(sent)
  if (!(await receive(socket, length)).equals(sent)) throw new Error("a channel's echo is wrong")
}

export async function channels() {
  const { count = 1_000, use = 1 } = numbers
  const began = performance.now()
  const sockets = []
  for (let i = 0; i < count; i++) {
    const socket = await openRoute()
    socket.write('E')
    for (let done = 0; done < use; done += BURST) await exchange(socket, i + done, Math.min(BURST, use - done))
    sockets.push(socket)
  }
  console.log(JSON.stringify({ opened: count, seconds: (performance.now() - began) / 1_000 }))
  await new Promise((resolve) => process.stdin.resume().on('end', resolve).on('error', resolve))
  for (const [i, socket] of sockets.entries()) await exchange(socket, i, 1)
  return { alive: count }
}
