import { describe, expect, it } from 'vitest'
import { means } from '../../bench/lib/options.mjs'
import { SCENARIOS } from '../../bench/scenarios/index.mjs'

const NAMES = SCENARIOS.map(({ name }) => name)
const ONE_CORE = SCENARIOS.filter(({ where }) => where === 'one-core')

function selected(part: string): readonly string[] {
  return NAMES.filter((name) => means(part, name))
}

describe('rows on one core', () => {
  it('measure the echo beside 1 and 8 downloads, one download and connections', () => {
    expect(ONE_CORE.map(({ name, modes }) => [name, modes])).toEqual([
      ['one-core-bulk-down-1', ['forward', 'agent']],
      ['one-core-echo-bulk-1', ['forward', 'agent']],
      ['one-core-echo-bulk-8', ['forward', 'agent']],
      ['one-core-conns', ['forward']],
    ])
  })

  it('measure what the rows of the same name do on all cores', () => {
    for (const { name, metrics, measure } of ONE_CORE) {
      const other = SCENARIOS.find((scenario) => `one-core-${scenario.name}` === name)
      expect([metrics, measure]).toEqual([other?.metrics, other?.measure])
    }
  })

  it('are one in a quick run, with the relay and v2ray', () => {
    const quick = ONE_CORE.flatMap(({ name, modes, quickModes }) => (quickModes ?? modes).map((mode) => [mode, name]))
    expect(quick).toEqual([['forward', 'one-core-echo-bulk-8']])
    for (const { quickSubjects } of ONE_CORE) expect(quickSubjects).toEqual(expect.arrayContaining(['relay', 'v2ray']))
  })
})

describe('names of --only', () => {
  it('are no one else’s', () => {
    expect(new Set(NAMES).size).toBe(NAMES.length)
  })

  it.each([
    ['echo', ['echo-idle', 'echo-bulk-1', 'echo-bulk-8']],
    ['conns', ['conns']],
    ['bulk-down-1', ['bulk-down-1']],
    ['one-core-echo-bulk-8', ['one-core-echo-bulk-8']],
    ['one-core', ONE_CORE.map(({ name }) => name)],
    ['nothing', []],
  ])('%s means %j', (part, names) => {
    expect(selected(part)).toEqual(names)
  })
})
