// What the soak is to do and how it went.
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

export const MB = 1024 * 1024
export const WORKERS = 24
/** Longest a channel may take, cuts included. */
export const CHANNEL_MS = 90_000
export const BULK = 4 * MB
/** The transfers are to last for most of the run. */
export const TRANSFER_SHARE = 0.7

const options = Object.fromEntries(
  ['minutes', 'channels', 'cuts', 'transfer', 'garbage', 'slow', 'seed'].map((name) => [name, { type: 'string' }]),
)
const { values } = parseArgs({ options })
const number = (name, fallback) => (values[name] === undefined ? fallback : Number(values[name]))
export const minutes = number('minutes', 10)
export const wanted = {
  channels: number('channels', 20_000 * minutes),
  cuts: number('cuts', 50 * minutes),
  transferBytes: number('transfer', 400) * MB,
  garbage: number('garbage', 1_000),
  slow: number('slow', 10_000),
}
export const total = { channels: 0, cuts: 0, resumed: 0, refused: 0, failures: 0 }
export const began = performance.now()
export const endAt = began + minutes * 60_000

/** The same numbers in every run (mulberry32). */
let state = number('seed', 1) >>> 0
export function random() {
  state = (state + 0x6d2b79f5) >>> 0
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
export const upTo = (count) => Math.floor(random() * count)
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
export const seconds = (since) => ((performance.now() - since) / 1_000).toFixed(1)

export function fail(what) {
  total.failures += 1
  if (total.failures <= 20) console.log(`FAILURE after ${seconds(began)} s: ${what}`)
}

export async function eventually(what, holds, limitMs) {
  const limit = performance.now() + limitMs
  while (!holds()) {
    if (performance.now() > limit) return void fail(what())
    await sleep(200)
  }
}
