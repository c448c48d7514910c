import { describe, expect, it } from 'vitest'
import type { LinkSocksError } from '../../../src/errors.js'
import { compiledPolicy } from '../../../src/policy/compiled-policy.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { newUse, type PolicedToken, type PolicyRefusal } from '../../../src/relay/policies/policed-token.js'
import { type Asked, type Exit, PolicyGate } from '../../../src/relay/policies/policy-gate.js'
import { ManualClock } from '../../support/manual-clock.js'

function tokenOf(id: string, policy?: TokenPolicy) {
  return {
    id,
    traits: { policy: compiledPolicy(policy) },
    use: newUse(new ManualClock(), id, 0),
  } satisfies PolicedToken
}

function setUp() {
  const clock = new ManualClock()
  const refused: PolicyRefusal[] = []
  const gate = new PolicyGate(clock, { refused: (refusal) => refused.push(refusal) })
  const tcp = (host: string, port = 443): Asked => ({ protocol: 'tcp', target: { host, port } })
  const admit = (tokens: readonly PolicedToken[], asked = tcp('a.example'), exit: Exit = 'judges'): string => {
    try {
      gate.admit(tokens, asked, exit)
      return 'admitted'
    } catch (thrown) {
      return (thrown as LinkSocksError).message
    }
  }
  return { clock, refused, gate, tcp, admit }
}

const deny = (...hosts: string[]): TokenPolicy => ({ egress: [{ action: 'deny', hosts }] })

describe('PolicyGate', () => {
  it('counts a request for no token where one of them refuses it', () => {
    const { admit, tcp } = setUp()
    const [own, shared] = [
      tokenOf('own', { connectsPerMinute: 2 }),
      tokenOf('shared', { connectsPerMinute: 2, ...deny('b.example') }),
    ]
    for (let count = 0; count < 5; count += 1)
      expect(admit([own, shared], tcp('b.example'))).toContain('denied by rule 1')
    expect([admit([own, shared]), admit([own, shared])]).toEqual(['admitted', 'admitted'])
    expect(admit([own])).toBe('the token may ask for 2 connections a minute')
  })

  it('takes as many as the limit says, those that wait included, and with a limit of 0 none', () => {
    const { admit } = setUp()
    const token = tokenOf('a', { maxStreams: 3 })
    token.use.streams = 1
    token.use.waiting = 1
    expect(admit([token])).toBe('admitted')
    token.use.waiting = 2
    expect(admit([token])).toBe('the token may have 3 connections at a time')
    expect(admit([tokenOf('b', { maxStreams: 0 })])).toBe('the token may have 0 connections at a time')
    expect(admit([tokenOf('c', { connectsPerMinute: 0 })])).toBe('the token may ask for 0 connections a minute')
  })

  it('keeps no count where there is no limit any more', () => {
    const { admit } = setUp()
    const token = tokenOf('a', { connectsPerMinute: 1 })
    expect([admit([token]), admit([token])]).toEqual(['admitted', 'the token may ask for 1 connections a minute'])
    token.traits.policy = compiledPolicy({ maxStreams: 5 })
    admit([token])
    expect(token.use.connects).toBeUndefined()
    token.traits.policy = compiledPolicy({ connectsPerMinute: 1 })
    expect(admit([token])).toBe('admitted')
  })

  it('leaves to the exit what depends on addresses, where that judges, and refuses it elsewhere', () => {
    const { admit, refused, tcp } = setUp()
    const token = tokenOf('a', deny('10.0.0.0/8'))
    expect([admit([token], tcp('a.example'), 'judges'), admit([token], tcp('a.example'), 'here')]).toEqual([
      'admitted',
      'admitted',
    ])
    expect(admit([token], tcp('a.example'), 'blind')).toContain('the provider that looks them up does not')
    expect(refused).toEqual([{ tokenId: 'a', reason: 'depends', subject: 'a.example:443' }])
  })

  it('judges datagrams by every token, and tells of the first that denies', () => {
    const { gate, refused } = setUp()
    const tokens = [tokenOf('a', deny('a.example')), tokenOf('b'), tokenOf('c', deny('a.example', 'c.example'))]
    const allows = (host: string, exit: Exit = 'judges') => gate.allowsDatagram(tokens, { host, port: 53 }, exit)
    expect([allows('a.example'), allows('b.example'), allows('c.example')]).toEqual([false, true, false])
    expect(refused.map(({ tokenId }) => tokenId)).toEqual(['a', 'c'])
  })

  it.each([
    '',
    'a b',
    'git\ufffd.corp.example',
    'git.corp.example\0x',
    ' git.corp.example',
    'git.corp.example\n',
    'a:b',
    'fe80::1%eth0',
    '[::1',
    '::1]',
  ])('lets %j, which names nothing, through by no default', (host) => {
    const { admit, gate, tcp } = setUp()
    const token = tokenOf('a', deny('*.corp.example'))
    expect(admit([token], tcp(host))).toBe('no rule of the policy of the token allows it')
    expect(gate.allowsDatagram([token], { host, port: 53 }, 'judges')).toBe(false)
  })

  it('asks for no stream out of hours, whatever else holds', () => {
    const { admit, refused } = setUp()
    const token = tokenOf('a', { hours: [{ from: '08:00', to: '18:00' }], maxStreams: 0 })
    expect(admit([token])).toBe('the token may not be used at this time, but from 2026-01-01 08:00 UTC on')
    expect(refused).toEqual([{ tokenId: 'a', reason: 'hours', subject: 'a.example:443' }])
  })
})
