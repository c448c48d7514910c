/** @typedef {{ median: number, low: number, high: number }} Estimate */

const RESAMPLES = 4_000

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/**
 * The median and its 95 % interval by bootstrap: medians of samples drawn from the values, with replacement.
 *
 * @param {readonly number[]} values
 * @returns {Estimate}
 */
export function estimate(values) {
  const random = generator(values.length)
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b)
  const at = (/** @type {number} */ share) => medians[Math.floor(share * (RESAMPLES - 1))] ?? Number.NaN
  return { median: median(values), low: at(0.025), high: at(0.975) }
}

/**
 * What one subject reached by what another did in the same round, so that a slow minute of the machine hits both.
 *
 * @param {readonly (number | null)[]} values
 * @param {readonly (number | null)[]} base
 */
export function ratios(values, base) {
  return values.flatMap((value, round) => {
    const other = base[round]
    return value === null || other === null || other === undefined || other === 0 ? [] : [value / other]
  })
}

/** Numbers in [0, 1) that are the same in every run: equal values give an equal interval (mulberry32). */
function generator(/** @type {number} */ seed) {
  let state = seed + 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
