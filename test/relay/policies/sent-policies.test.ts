import { describe, expect, it } from 'vitest'
import { compiledPolicy } from '../../../src/policy/compiled-policy.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { decodePolicy, policyRef } from '../../../src/protocol/policy-message.js'
import { newUse, type PolicedToken } from '../../../src/relay/policies/policed-token.js'
import { MAX_SENT_POLICIES, SentPolicies } from '../../../src/relay/policies/sent-policies.js'
import { ManualClock } from '../../support/manual-clock.js'

/** A token whose policy may be set. */
function tokenOf(id: string, policy?: TokenPolicy) {
  const traits = { policy: compiledPolicy(policy) }
  return { id, traits, use: newUse(new ManualClock(), id, 0) } satisfies PolicedToken
}

const deny = (...hosts: string[]): TokenPolicy => ({ egress: [{ action: 'deny', hosts }] })

function setUp() {
  const told: (readonly [ref: number, policy: string | undefined])[] = []
  const sent = new SentPolicies((raw) => {
    const policy = decodePolicy(raw)
    told.push([policyRef(raw), policy && (policy.egress?.[0]?.hosts?.join() ?? 'anywhere')])
  })
  return { sent, told }
}

describe('SentPolicies', () => {
  it('tells each policy once, before the number of it is given out', () => {
    const { sent, told } = setUp()
    const [a, b] = [tokenOf('a', deny('a.example')), tokenOf('b', deny('b.example'))]
    expect(sent.refsOf([a])).toEqual([1])
    expect(told).toEqual([[1, 'a.example']])
    expect(sent.refsOf([a, b])).toEqual([1, 2])
    expect(sent.refsOf([b, a])).toEqual([2, 1])
    expect(told).toEqual([
      [1, 'a.example'],
      [2, 'b.example'],
    ])
  })

  it('gives a token that leads anywhere a number as well, so that a later policy reaches what names it', () => {
    const { sent, told } = setUp()
    const [a, b] = [tokenOf('a', deny('a.example')), tokenOf('b', { maxStreams: 5 })]
    expect(sent.refsOf([a, b])).toEqual([1, 2])
    expect(told[1]).toEqual([2, 'anywhere'])
    b.traits.policy = compiledPolicy(deny('b.example'))
    sent.changed(b)
    expect(told[2]).toEqual([2, 'b.example'])
  })

  it('tells a change at once under the same number, and nothing where nothing of it changed', () => {
    const { sent, told } = setUp()
    const a = tokenOf('a', deny('a.example'))
    sent.refsOf([a])
    sent.changed(a)
    a.traits.policy = compiledPolicy(deny('b.example'))
    sent.changed(a)
    a.traits.policy = undefined
    sent.changed(a)
    sent.changed(a)
    a.traits.policy = compiledPolicy(deny('c.example'))
    sent.changed(a)
    expect(told.map(([, policy]) => policy)).toEqual(['a.example', 'b.example', 'anywhere', 'c.example'])
    expect([sent.refsOf([a]), told.length]).toEqual([[1], 4])
  })

  it('tells a change that it did not hear of before the next Connect', () => {
    const { sent, told } = setUp()
    const a = tokenOf('a', deny('a.example'))
    sent.refsOf([a])
    a.traits.policy = compiledPolicy(deny('b.example'))
    expect(sent.refsOf([a])).toEqual([1])
    expect(told.at(-1)).toEqual([1, 'b.example'])
  })

  it('says nothing of a token that was never named', () => {
    const { sent, told } = setUp()
    const a = tokenOf('a', deny('a.example'))
    sent.changed(a)
    sent.forget('a')
    expect([told, sent.size]).toEqual([[], 0])
  })

  it('gives the number of a token that is gone back, once, and never uses it again', () => {
    const { sent, told } = setUp()
    const a = tokenOf('a', deny('a.example'))
    sent.refsOf([a])
    sent.forget('a')
    sent.forget('a')
    expect(sent.refsOf([a])).toEqual([2])
    expect(told).toEqual([
      [1, 'a.example'],
      [1, undefined],
      [2, 'a.example'],
    ])
  })

  it('gives back the one that was named longest ago when there are too many', () => {
    const { sent, told } = setUp()
    const tokens = Array.from({ length: MAX_SENT_POLICIES }, (_, index) => tokenOf(`${index}`))
    expect(sent.refsOf(tokens)).toHaveLength(MAX_SENT_POLICIES)
    const [first, second] = tokens
    sent.refsOf(first === undefined ? [] : [first])
    expect([sent.size, told.length]).toEqual([MAX_SENT_POLICIES, MAX_SENT_POLICIES])
    expect(sent.refsOf([tokenOf('more')])).toEqual([MAX_SENT_POLICIES + 1])
    expect(told.slice(MAX_SENT_POLICIES)).toEqual([
      [2, undefined],
      [MAX_SENT_POLICIES + 1, 'anywhere'],
    ])
    expect(sent.size).toBe(MAX_SENT_POLICIES)
    // a change of one that was given back is none of the provider's business until it is named again
    if (second === undefined) throw new Error('no second token')
    second.traits.policy = compiledPolicy(deny('b.example'))
    sent.changed(second)
    expect(told).toHaveLength(MAX_SENT_POLICIES + 2)
    expect(sent.refsOf([second])).toEqual([MAX_SENT_POLICIES + 2])
  })

  it('keeps the number of a policy that changes when all places are taken', () => {
    const { sent, told } = setUp()
    const tokens = Array.from({ length: MAX_SENT_POLICIES }, (_, index) => tokenOf(`${index}`))
    sent.refsOf(tokens)
    const [first] = tokens
    if (first === undefined) throw new Error('no token')
    first.traits.policy = compiledPolicy(deny('a.example'))
    expect(sent.refsOf([first])).toEqual([1])
    expect([sent.size, told.slice(MAX_SENT_POLICIES)]).toEqual([MAX_SENT_POLICIES, [[1, 'a.example']]])
  })
})
