import type { Stats } from '../api/types.js'

/** How far back the plot goes. */
export const HISTORY_SECONDS = 300
/** More than one a second never comes, so this holds all of it. */
const MAX_POINTS = 400
/** Two totals further apart than this say nothing about the time between. */
const LONGEST_STEP_SECONDS = 10

/** Unix seconds, and bytes per second where they are known: the shape uPlot draws. */
export interface History {
  readonly times: readonly number[]
  readonly received: readonly (number | null)[]
  readonly sent: readonly (number | null)[]
}

export const NO_HISTORY: History = { times: [], received: [], sent: [] }

/** Appends the rates between two totals; a gap where a total went back or an answer is missing. */
export function addRates(history: History, before: Stats | undefined, now: Stats): History {
  const time = Date.parse(now.time) / 1_000
  const seconds = before === undefined ? 0 : time - Date.parse(before.time) / 1_000
  const restarted =
    before !== undefined && now.received_bytes + now.sent_bytes < before.received_bytes + before.sent_bytes
  const known = before !== undefined && seconds > 0 && seconds < LONGEST_STEP_SECONDS && !restarted
  const rate = (total: number, earlier: number): number => Math.max(0, (total - earlier) / seconds)
  const first = history.times.findIndex((at) => at >= time - HISTORY_SECONDS)
  const from = Math.max(first === -1 ? history.times.length : first, history.times.length + 1 - MAX_POINTS)
  return {
    times: [...history.times.slice(from), time],
    received: [...history.received.slice(from), known ? rate(now.received_bytes, before.received_bytes) : null],
    sent: [...history.sent.slice(from), known ? rate(now.sent_bytes, before.sent_bytes) : null],
  }
}
