import { estimate, ratios } from './stats.mjs'

/**
 * @typedef {import('./measure.mjs').Series} Series
 * @typedef {import('./stats.mjs').Estimate} Estimate
 *
 * @typedef {object} Figure One metric of one subject.
 * @property {string} mode
 * @property {string} scenario
 * @property {string} subject
 * @property {string} metric
 * @property {string} unit
 * @property {'more' | 'less'} better
 * @property {(number | null)[]} values of each round
 * @property {Estimate} estimate
 * @property {Record<string, Estimate>} ratios to the same metric of other subjects, paired by round
 */

/** Four digits say more than there is to know, and keep the files small. */
const rounded = (/** @type {number} */ value) => Number(value.toPrecision(4))

const roundedEstimate = (/** @type {readonly number[]} */ values) => {
  const { median, low, high } = estimate(values)
  return { median: rounded(median), low: rounded(low), high: rounded(high) }
}

/**
 * @param {readonly Series[]} all
 * @returns {Figure[]}
 */
export function summarize(all) {
  return all.flatMap((series) => {
    const { mode, scenario, subject } = series
    const peers = all.filter((one) => one.mode === mode && one.scenario === scenario && one !== series)
    return scenario.metrics.flatMap(({ name, unit, better }) => {
      const values = valuesOf(series, name)
      const known = values.filter((value) => value !== null)
      if (known.length === 0) return []
      const compared = peers.map((peer) => [peer.subject.name, ratios(values, valuesOf(peer, name))])
      return [
        {
          mode,
          scenario: scenario.name,
          subject: subject.name,
          metric: name,
          unit,
          better,
          values: values.map((value) => (value === null ? null : rounded(value))),
          estimate: roundedEstimate(known),
          ratios: Object.fromEntries(
            compared
              .filter(([, list]) => list?.length)
              .map(([peer, list]) => [peer, roundedEstimate(/** @type {number[]} */ (list))]),
          ),
        },
      ]
    })
  })
}

const valuesOf = (/** @type {Series} */ series, /** @type {string} */ metric) =>
  series.rounds.map((round) => round?.[metric] ?? null)
