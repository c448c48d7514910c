import { describe, expect, it } from 'vitest'
import {
  addressRules,
  FIRST_PORT,
  MOST_RULES,
  mixedRules,
  nameRules,
  portRules,
  UNKNOWN,
} from '../../bench/lib/policies.mjs'
import { EgressRules, MAX_EGRESS_RULES } from '../../src/policy/egress-rules.js'

const LISTS = { mixed: mixedRules(MOST_RULES), names: nameRules(), addresses: addressRules(), ports: portRules() }

describe('rules to measure with', () => {
  it.each(Object.entries(LISTS))(
    'are as many as a policy may have, and speak of nothing that is asked for: %s',
    (_name, rules) => {
      expect(rules).toHaveLength(MAX_EGRESS_RULES)
      const engine = new EgressRules(rules, 'allow')
      const { name, ipv4, ipv6 } = UNKNOWN
      const asked = [
        ...[ipv4, ipv6].flatMap((host) => [[name, host] as const, [host, host] as const]),
        ['127.0.0.1', '127.0.0.1'] as const,
      ]
      for (const [host, address] of asked) {
        for (const port of [443, FIRST_PORT, 12_000, 65_535]) {
          expect(engine.judge(host, { host: address, port }, 'tcp')).toEqual({ allowed: true, rule: 0 })
        }
      }
    },
  )

  it('speak of something', () => {
    const judged = (rules: typeof LISTS.mixed, host: string, port: number) =>
      new EgressRules(rules, 'allow').judgeAsked({ host, port }, 'tcp')
    expect(judged(LISTS.names, 'host-999.corp.example', 443)).toEqual({ allowed: false, rule: 1_000 })
    expect(judged(LISTS.addresses, '10.3.231.1', 443)).toEqual({ allowed: false, rule: 1_000 })
    expect(judged(LISTS.ports, '192.0.2.1', FIRST_PORT + 999)).toEqual({ allowed: false, rule: 1_000 })
    expect(judged(LISTS.mixed, 'alias-996.corp.example', 443)).toEqual({ allowed: false, rule: 997 })
  })
})
