import { describe, expect, it } from 'vitest'
import { judge } from '../../bench/lib/goals.mjs'
import { SCENARIOS } from '../../bench/scenarios/index.mjs'

type Figure = Parameters<typeof judge>[0][number]
interface Row {
  readonly subject?: string
  readonly mode?: string
  readonly scenario: string
  readonly metric: string
  readonly against?: string
}

/** What became of a row whose median and interval are these, after so many rounds. */
function verdictOf(row: Row, [median, low, high]: readonly [number, number, number], rounds = 5): string | undefined {
  const { subject = 'linksocks', mode = 'forward', scenario, metric, against } = row
  const { better } = metricOf(row)
  const estimate = { median, low, high }
  const figure: Figure = {
    ...{ mode, scenario, subject, metric, unit: '', better },
    values: new Array<number>(rounds).fill(median),
    estimate,
    ratios: against === undefined ? {} : { [against]: estimate },
  }
  return judge([figure]).find(
    (goal) =>
      (goal.subject ?? 'linksocks') === subject &&
      goal.mode === mode &&
      goal.scenario === scenario &&
      goal.metric === metric &&
      goal.against === row.against,
  )?.verdict
}

function metricOf({ scenario, metric }: Row) {
  const found = SCENARIOS.find(({ name }) => name === scenario)?.metrics.find(({ name }) => name === metric)
  if (found === undefined) throw new Error(`nothing measures ${scenario} ${metric}`)
  return found
}

const RATE = { scenario: 'bulk-down-1', metric: 'rate', against: 'relay' }
const CPU = { scenario: 'bulk-down-1', metric: 'cpu', against: 'relay' }
const BULK = ['bulk-down-1', 'bulk-up-1', 'bulk-down-8', 'bulk-up-8']
const BESIDE_8 = { scenario: 'echo-bulk-8', metric: 'p99', against: 'v2ray' }

describe('goals', () => {
  it('are all of figures that a scenario measures in that mode', () => {
    for (const goal of judge([])) {
      expect(metricOf(goal)).toBeDefined()
      expect(SCENARIOS.find(({ name }) => name === goal.scenario)?.modes).toContain(goal.mode)
    }
  })

  it('hold each row once', () => {
    const rows = judge([]).map((goal) =>
      [goal.subject, goal.mode, goal.scenario, goal.metric, goal.against ?? ''].join(' '),
    )
    expect(new Set(rows).size).toBe(rows.length)
  })

  it('have an aim beyond the floor', () => {
    for (const goal of judge([])) {
      const more = metricOf(goal).better === 'more'
      expect(more ? goal.aim > goal.floor : goal.aim < goal.floor, JSON.stringify(goal)).toBe(true)
    }
  })

  it.each([
    [RATE, [1.3, 1.2, 1.4], 'aim'],
    [RATE, [1, 0.5, 1.2], 'floor'],
    [RATE, [0.9, 0.8, 1.1], 'unclear'],
    [RATE, [0.8, 0.7, 0.99], 'missed'],
    [CPU, [0.7, 0.6, 1.1], 'aim'],
    [CPU, [0.9, 0.8, 1.1], 'floor'],
    [CPU, [0.95, 0.85, 1.1], 'unclear'],
    [CPU, [1.2, 0.91, 1.3], 'missed'],
  ] as const)('judge the median: %o of %o is %s', (row, measured, verdict) => {
    expect(verdictOf(row, measured)).toBe(verdict)
  })

  it.each([
    [[0.2, 0.1, 0.5], 'aim'],
    [[0.3, 0.1, 0.5], 'floor'],
    [[0.2, 0.1, 0.51], 'unclear'],
    [[0.6, 0.5, 0.7], 'unclear'],
    [[0.7, 0.51, 0.9], 'missed'],
  ] as const)('judge the whole interval of the echo beside 8 downloads: %o is %s', (measured, verdict) => {
    expect(verdictOf(BESIDE_8, measured)).toBe(verdict)
  })

  it('call nothing missed, and no interval whole, after two rounds', () => {
    expect(verdictOf(RATE, [0.5, 0.4, 0.6], 2)).toBe('unclear')
    expect(verdictOf(RATE, [1, 1, 1], 2)).toBe('floor')
    expect(verdictOf(BESIDE_8, [0.1, 0.1, 0.1], 2)).toBe('unclear')
  })

  it.each(['forward', 'agent'])('have rows over TLS against a relay that speaks it in %s mode', (mode) => {
    for (const scenario of BULK) {
      const row = { subject: 'wss', mode, scenario, metric: 'rate', against: 'tlsrelay' }
      expect(verdictOf(row, [1, 0.9, 1.1])).toBe('aim')
      expect(verdictOf(row, [0.9, 0.8, 0.95])).toBe('floor')
      expect(verdictOf(row, [0.8, 0.7, 0.89])).toBe('missed')
    }
  })

  it('have rows over TLS against ssh', () => {
    for (const scenario of BULK) {
      const row = { subject: 'wss', scenario, metric: 'rate', against: 'ssh' }
      expect(verdictOf(row, [1.5, 1.4, 1.6])).toBe('aim')
      expect(verdictOf(row, [1.2, 1.1, 1.3])).toBe('floor')
      expect(verdictOf(row, [1.1, 1, 1.19])).toBe('missed')
    }
  })

  it('over TLS are not measured by anything without it, nor the others by what has it', () => {
    const row = { scenario: 'bulk-down-1', metric: 'rate' }
    expect(verdictOf({ ...row, against: 'tlsrelay' }, [1, 1, 1])).toBeUndefined()
    expect(verdictOf({ ...row, subject: 'wss', against: 'relay' }, [1, 1, 1])).toBeUndefined()
    const figure = { ...{ mode: 'forward', unit: '', better: 'more', values: [1, 1, 1] }, ...row } as const
    const one = { median: 1, low: 1, high: 1 }
    const judged = judge([{ ...figure, subject: 'linksocks', estimate: one, ratios: { tlsrelay: one } }])
    for (const { subject, verdict } of judged.filter((goal) => goal.subject === 'wss'))
      expect([subject, verdict]).toEqual(['wss', 'not measured'])
  })

  it.each(['relay', 'v2ray'])('have rows on one core against %s', (against) => {
    for (const scenario of ['one-core-echo-bulk-1', 'one-core-echo-bulk-8'])
      expect(verdictOf({ scenario, metric: 'p99', against }, [0.5, 0.4, 1.2])).toBe('aim')
  })
})
