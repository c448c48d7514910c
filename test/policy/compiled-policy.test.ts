import { describe, expect, it } from 'vitest'
import { AddressList, MAX_ADDRESS_LIST } from '../../src/policy/address-list.js'
import { CompiledPolicy, compiledPolicy } from '../../src/policy/compiled-policy.js'
import type { TokenPolicy } from '../../src/policy-fields.js'

describe('compiledPolicy()', () => {
  it('is none for a policy that sets no limit', () => {
    for (const policy of [undefined, {}, { egress: [], maxStreams: undefined }])
      expect(compiledPolicy(policy)).toBeUndefined()
  })

  it('keeps a copy of what was given', () => {
    const given = { egress: [{ action: 'deny', hosts: ['@private'] }], maxStreams: 0 } satisfies TokenPolicy
    const compiled = compiledPolicy(given)
    expect(compiled?.policy).toEqual(given)
    given.egress[0]?.hosts.push('192.0.2.1')
    expect(compiled?.policy.egress?.[0]?.hosts).toEqual(['@private'])
  })

  it('keeps nothing of what is absent, inside rules and hours either', () => {
    const rule = { action: 'deny', hosts: undefined, ports: [22], protocol: undefined } as const
    const hours = [{ days: undefined, from: '08:00', to: '18:00', zone: undefined }]
    expect(compiledPolicy({ egress: [rule], hours, sources: undefined })?.policy).toStrictEqual({
      egress: [{ action: 'deny', ports: [22] }],
      hours: [{ from: '08:00', to: '18:00' }],
    })
  })

  it('judges by a default alone', () => {
    const compiled = compiledPolicy({ egressDefault: 'deny' })
    expect(compiled?.egress?.judgeAsked({ host: 'a.example', port: 1 }, 'tcp')).toEqual({ allowed: false, rule: 0 })
  })

  it.each([
    [{ maxStreams: -1 }, 'maxStreams must be an integer from 0 to 1000000000'],
    [{ maxClients: 1.5 }, 'maxClients must be an integer from 0 to 1000000000'],
    [{ connectsPerMinute: 1_000_000_001 }, 'connectsPerMinute must be an integer from 0 to 1000000000'],
    [{ egressDefault: 'maybe' }, 'egressDefault must be allow or deny'],
    [{ egress: [{ action: 'deny', hosts: ['host:1'] }] }, 'egress rule 1: invalid address "host:1"'],
    [{ sources: ['a.example'] }, 'sources: invalid address "a.example"'],
    [{ sources: ['10.0.0.9-10.0.0.1'] }, 'sources: reversed address range "10.0.0.9-10.0.0.1"'],
    [{ sources: [] }, 'sources must not be empty: leave it out for no limit'],
    [{ hours: [] }, 'hours must not be empty: leave it out for no limit'],
    [{ hours: [{ from: '9', to: '10:00' }] }, 'hours: from must be a time such as 08:00: "9"'],
  ])('refuses %j', (policy, message) => {
    expect(() => new CompiledPolicy(policy as TokenPolicy)).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION', message }),
    )
  })
})

describe('AddressList', () => {
  it('has what is in one of its entries', () => {
    const list = AddressList.of(['192.0.2.0/24', '2001:db8::1', '198.51.100.3-5']) as AddressList
    const inside = ['192.0.2.9', '::ffff:192.0.2.9', '2001:db8::1', '198.51.100.5']
    expect(inside.every((host) => list.has(host))).toBe(true)
    expect(['192.0.3.1', '2001:db8::2', 'a.example', ''].some((host) => list.has(host))).toBe(false)
  })

  it(`has ${MAX_ADDRESS_LIST} entries at most`, () => {
    const entries = Array<string>(MAX_ADDRESS_LIST).fill('192.0.2.1')
    expect(AddressList.of(entries)).toBeInstanceOf(AddressList)
    expect(AddressList.of([...entries, '192.0.2.1'])).toBe('at most 1000 addresses')
  })
})
