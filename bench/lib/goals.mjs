/**
 * What the figures are to show, of LinkSocks unless a goal names another subject. A floor counts as missed only if the whole interval lies on its wrong side, and as reached if the
 * median does, or where a goal says so the whole interval.
 *
 * @typedef {import('./summary.mjs').Figure} Figure
 * @typedef {import('./stats.mjs').Estimate} Estimate
 *
 * @typedef {object} Goal
 * @property {string} [subject] whose figure it is, if not that of `linksocks`
 * @property {string} mode
 * @property {string} scenario
 * @property {string} metric
 * @property {string} [against] a subject: the goal is a ratio then, else the figure itself
 * @property {number} floor
 * @property {number} aim
 * @property {boolean} [whole] whether the whole interval has to reach the floor
 *
 * @typedef {'aim' | 'floor' | 'unclear' | 'missed' | 'not measured'} Verdict
 */

/**
 * @param {string} mode
 * @param {readonly string[]} scenarios
 * @param {string} metric
 * @param {string | undefined} against
 * @param {number} floor
 * @param {number} aim
 * @returns {Goal[]}
 */
const goals = (mode, scenarios, metric, against, floor, aim) =>
  scenarios.map((scenario) => ({ mode, scenario, metric, ...(against !== undefined && { against }), floor, aim }))

const ONE = ['bulk-down-1', 'bulk-up-1']
const EIGHT = ['bulk-down-8', 'bulk-up-8']
const BULK = [...ONE, ...EIGHT]
const ONE_CORE_ECHO = ['one-core-echo-bulk-1', 'one-core-echo-bulk-8']
/** Rounds without which nothing counts as missed. */
const ENOUGH = 3

/** @type {readonly Goal[]} */
const GOALS = [
  ...goals('forward', ['bulk-down-1'], 'rate', 'relay', 1, 1.3),
  ...goals('forward', ['bulk-up-1'], 'rate', 'relay', 0.95, 1.3),
  ...goals('forward', EIGHT, 'rate', 'relay', 1, 1.3),
  ...goals('forward', EIGHT, 'slowest/fastest', undefined, 0.7, 0.9),
  ...goals('forward', ONE, 'rate', 'v2ray', 2.5, 3),
  ...goals('forward', ONE, 'rate', 'ssh', 1.8, 2.3),
  ...goals('forward', ONE, 'rate', 'deployed', 2, 3),
  ...goals('agent', [...ONE, 'bulk-down-8'], 'rate', 'relay', 1, 1.2),
  ...goals('agent', ['bulk-up-8'], 'rate', 'relay', 1, 1.25),
  ...goals('agent', ['bulk-down-8'], 'slowest/fastest', undefined, 0.7, 0.9),
  ...goals('forward', ONE, 'cpu', 'relay', 0.9, 0.7),
  ...goals('forward', ONE, 'cpu', 'noresume', 1.05, 1.02),
  ...goals('forward', ['echo-idle'], 'p50', 'relay', 1.15, 1),
  ...goals('forward', ['echo-idle'], 'p99', 'relay', 1.2, 1),
  ...goals('agent', ['echo-idle'], 'p50', 'relay', 1.15, 1),
  ...goals('forward', ['echo-bulk-1'], 'p99', undefined, 5_000, 2_000),
  ...goals('forward', ['echo-bulk-8'], 'p99', 'v2ray', 0.5, 0.2).map((goal) => ({ ...goal, whole: true })),
  // no worse than the better of the two is no worse than each
  ...goals('forward', ONE_CORE_ECHO, 'p99', 'relay', 1, 0.5),
  ...goals('forward', ONE_CORE_ECHO, 'p99', 'v2ray', 1, 0.5),
  ...goals('forward', ['conns'], 'rate', 'relay', 1, 1.2),
  ...goals('forward', ['conns'], 'rate', 'v2ray', 1.4, 1.7),
  ...goals('forward', ['policy'], 'worst', undefined, 20, 10),
  ...goals('forward', ['idle-channels'], 'mean', undefined, 10, 7),
  ...goals('forward', ['used-channels'], 'mean', undefined, 35, 20),
  ...goals('forward', ['start'], 'rss largest', undefined, 60, 50),
  ...goals('forward', ['rtt100-down', 'rtt100-up'], 'rate', 'direct', 0.9, 1),
  ...[
    ...goals('forward', BULK, 'rate', 'tlsrelay', 0.9, 1),
    ...goals('agent', BULK, 'rate', 'tlsrelay', 0.9, 1),
    ...goals('forward', BULK, 'rate', 'ssh', 1.2, 1.5),
  ].map((goal) => ({ ...goal, subject: 'wss' })),
]

/**
 * @param {readonly Figure[]} figures
 * @returns {(Goal & { measured?: Estimate, verdict: Verdict })[]}
 */
export function judge(figures) {
  return GOALS.map((goal) => {
    const figure = figures.find(
      ({ mode, scenario, subject, metric }) =>
        subject === (goal.subject ?? 'linksocks') &&
        mode === goal.mode &&
        scenario === goal.scenario &&
        metric === goal.metric,
    )
    const measured = goal.against === undefined ? figure?.estimate : figure?.ratios[goal.against]
    if (figure === undefined || measured === undefined) return { ...goal, verdict: 'not measured' }
    const reached = verdict(measured, goal, figure.better)
    const few = figure.values.filter((value) => value !== null).length < ENOUGH
    const unclear = few && (reached === 'missed' || goal.whole === true)
    return { ...goal, measured, verdict: unclear ? 'unclear' : reached }
  })
}

/**
 * @param {Estimate} measured
 * @param {Goal} goal
 * @param {'more' | 'less'} better
 * @returns {Verdict}
 */
function verdict({ median, low, high }, { floor, aim, whole = false }, better) {
  const reaches = (/** @type {number} */ value, /** @type {number} */ limit) =>
    better === 'more' ? value >= limit : value <= limit
  const [worst, best] = better === 'more' ? [low, high] : [high, low]
  const safe = reaches(whole ? worst : median, floor)
  if (safe && reaches(median, aim)) return 'aim'
  if (safe) return 'floor'
  return reaches(best, floor) ? 'unclear' : 'missed'
}
