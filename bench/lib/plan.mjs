/**
 * How long and how often things are measured.
 *
 * @typedef {typeof FULL} Plan
 */
export const FULL = {
  quick: false,
  rounds: 7,
  /** Rounds of what takes a process of its own, or long. */
  fewRounds: 3,
  bulkMs: 1_500,
  echoMs: 3_000,
  /** A slow echo gets up to four times as long, until there are so many: p99 of fewer would be the maximum. */
  echoes: 300,
  connsMs: 2_500,
  idleChannels: 8_000,
  idleWaitMs: 5_000,
  usedChannels: 1_500,
  usedWaitMs: 10_000,
  longWayMs: 8_000,
  udpMs: 2_000,
  /** Longest that one measurement may take. */
  limitMs: 180_000,
  /** Of the whole run: on a busy machine scenarios get fewer rounds, but one at least. */
  budgetMs: Number.POSITIVE_INFINITY,
  /** Between two measurements, for what the last one left to be done. */
  settleMs: 150,
  /** Files that a process may have open; filled in at the start. */
  descriptors: 0,
}

/** @type {Plan} */
export const QUICK = {
  ...FULL,
  quick: true,
  rounds: 3,
  fewRounds: 1,
  bulkMs: 250,
  echoMs: 300,
  echoes: 0,
  connsMs: 300,
  idleChannels: 1_500,
  idleWaitMs: 1_000,
  usedChannels: 150,
  usedWaitMs: 2_000,
  longWayMs: 1_500,
  udpMs: 200,
  limitMs: 30_000,
  budgetMs: 90_000,
  settleMs: 30,
}
