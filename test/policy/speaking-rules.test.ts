import { describe, expect, it } from 'vitest'
import { NONE, type RuleTerms, SpeakingRules } from '../../src/policy/speaking-rules.js'

const ANY: RuleTerms = { allows: false, ports: [], protocol: undefined, ofAddresses: true, anyHost: false }

describe('SpeakingRules', () => {
  it('knows the rules of each port, of more ports than it keeps answers for, and again', () => {
    const ports = Array.from({ length: 40 }, (_, i) => 100 + i)
    const speaking = new SpeakingRules(ports.map((port) => ({ ...ANY, ports: [port, port + 1] })))
    for (const port of [...ports, ...ports, 1, 65_535]) {
      const found = [...speaking.of(port, 'tcp').rules.entries()].flatMap(([at, one]) => (one === 1 ? [at] : []))
      expect(found).toEqual([port - 101, port - 100].filter((at) => at >= 0 && at < 40))
    }
  })

  it('answers anew only where the rules say something else', () => {
    const speaking = new SpeakingRules([{ ...ANY, ports: [22, 22, 8_000, 8_999] }])
    expect(speaking.of(8_000, 'tcp')).toBe(speaking.of(8_999, 'tcp'))
    expect(speaking.of(8_000, 'tcp')).not.toBe(speaking.of(9_000, 'tcp'))
    expect(speaking.of(80, 'tcp')).not.toBe(speaking.of(80, 'udp'))
  })

  it('names the first rule without hosts that speaks', () => {
    const web = { ...ANY, anyHost: true, ports: [80, 80] }
    const speaking = new SpeakingRules([ANY, web, { ...ANY, anyHost: true }])
    expect([speaking.of(80, 'tcp').anyHost, speaking.of(81, 'tcp').anyHost]).toEqual([1, 2])
    expect(new SpeakingRules([ANY]).of(80, 'tcp').anyHost).toBe(1)
  })

  it.each([
    ['nothing', [], [NONE]],
    ['one rule of each kind', [ANY, ANY, { ...ANY, allows: true }, ANY], [NONE, 0, 2]],
    ['rules of addresses', [{ ...ANY, ofAddresses: false }, ANY], [NONE, 1]],
    ['rules of the protocol', [{ ...ANY, protocol: 'udp' }, ANY], [NONE, 1]],
    ['no rule after one without hosts', [ANY, { ...ANY, anyHost: true }, { ...ANY, allows: true }], [0]],
  ] as const)('names as what addresses can come to: %s', (_name, rules, outcomes) => {
    expect(new SpeakingRules(rules).of(443, 'tcp').outcomes).toEqual(outcomes)
  })
})
