import { describe, expect, it } from 'vitest'
import {
  MAX_RECEIVED_POLICIES,
  MAX_RECEIVED_POLICY_BYTES,
  ReceivedPolicies,
} from '../../src/client/received-policies.js'
import type { LinkSocksError } from '../../src/errors.js'
import type { ChannelObserver } from '../../src/mux/channel/observer.js'
import type { EgressRule } from '../../src/policy-fields.js'
import type { Target } from '../../src/ports.js'
import { MIB } from '../../src/protocol/limits.js'
import { type ConnectMessage, MessageType } from '../../src/protocol/messages.js'
import { encodePolicy } from '../../src/protocol/policy-message.js'
import { RecordingLog } from '../exit/fakes.js'
import { concat } from '../support/test-peer.js'

const deny = (...hosts: string[]): EgressRule => ({ action: 'deny', hosts })
const policy = (ref: number, ...egress: EgressRule[]): Uint8Array => encodePolicy({ ref, policy: { egress } })
const NAME: Target = { host: 'a.example', port: 443 }
const UNKNOWN = 'its policy is not known here'
const HEAD_BYTES = 6

const connect = (policies: readonly number[] | undefined, target: Target | undefined = NAME): ConnectMessage => ({
  type: MessageType.Connect,
  protocol: target === undefined ? 2 : 1,
  channelId: new Uint8Array(16),
  target,
  trailer: { policies },
})

class Running {
  readonly observer: ChannelObserver
  aborted: LinkSocksError | undefined

  constructor(policies: ReceivedPolicies, message: ConnectMessage) {
    const observe = policies.observe(message)
    if (observe === undefined) throw new Error('nobody observes it')
    const abort = (reason: LinkSocksError): void => {
      this.aborted ??= reason
    }
    this.observer = observe({ receivedBytes: 0, sentBytes: 0 }, { abort })
  }

  get why(): string | undefined {
    return this.aborted?.message
  }
}

function setUp() {
  const log = new RecordingLog()
  const policies = new ReceivedPolicies(log)
  const asked = (refs: readonly number[], host = 'a.example', port = 443) =>
    policies.judgeOf(connect(refs))?.asked({ host, port }, 'tcp')
  const run = (refs: readonly number[], target: Target = NAME) => new Running(policies, connect(refs, target))
  return { log, policies, asked, run }
}

describe('ReceivedPolicies', () => {
  it('judge nothing for a Connect that names none, and follow no association', () => {
    const { policies } = setUp()
    expect([policies.judgeOf(connect(undefined)), policies.observe(connect(undefined))]).toEqual([undefined, undefined])
    expect(policies.observe({ ...connect([1]), protocol: 2, target: undefined })).toBeUndefined()
  })

  it('deny what names a number that is not there', () => {
    const { policies, asked } = setUp()
    policies.receive(policy(1))
    expect([asked([1]), asked([2]), asked([1, 2]), asked([2, 1])]).toEqual([undefined, UNKNOWN, UNKNOWN, UNKNOWN])
    const address = { host: '203.0.113.1', port: 443 }
    expect(policies.judgeOf(connect([2]))?.address('a.example', address, 'tcp')).toBe(UNKNOWN)
  })

  it('allow what every one of them allows', () => {
    const { policies, asked } = setUp()
    policies.receive(policy(1, deny('a.example')))
    policies.receive(policy(2, deny('b.example')))
    expect([asked([1, 2], 'a.example'), asked([1, 2], 'b.example')]).toEqual([
      'denied by rule 1 of the policy of the token',
      'denied by rule 1 of the policy of the token',
    ])
    expect([asked([1, 2], 'c.example'), asked([1], 'b.example')]).toEqual([undefined, undefined])
  })

  it('say that it depends on the addresses where one of them says so and none denies', () => {
    const { policies, asked } = setUp()
    policies.receive(policy(1, deny('10.0.0.0/8')))
    policies.receive(policy(2, deny('b.example')))
    expect([asked([1, 2]), asked([1, 2], 'b.example'), asked([2, 1], 'b.example')]).toEqual([
      'depends',
      'denied by rule 1 of the policy of the token',
      'denied by rule 1 of the policy of the token',
    ])
  })

  it('deny by a policy that is broken, until a whole one comes', () => {
    const { policies, asked, log } = setUp()
    policies.receive(concat(encodePolicy({ ref: 1 }), new TextEncoder().encode('{"egress":[],"quota":1}')))
    policies.receive(policy(2, deny('no/network')))
    policies.receive(policy(3, { action: 'deny', ports: [0] }))
    expect([asked([1]), asked([2]), asked([3]), policies.size]).toEqual([UNKNOWN, UNKNOWN, UNKNOWN, 3])
    expect(log.named('policy.broken').map(({ ref }) => ref)).toEqual([1, 2, 3])
    policies.receive(policy(1))
    expect(asked([1])).toBeUndefined()
  })

  it('deny by a policy that was good and is replaced by a broken one', () => {
    const { policies, asked, run } = setUp()
    policies.receive(policy(1))
    const running = run([1])
    policies.receive(policy(1, deny('no/network')))
    expect([asked([1]), running.why]).toEqual([UNKNOWN, UNKNOWN])
  })

  it('deny by a number that was given back, and end what runs under it', () => {
    const { policies, asked, run } = setUp()
    policies.receive(policy(1))
    const [under, other] = [run([1]), run([2])]
    policies.receive(encodePolicy({ ref: 1 }))
    expect([policies.size, asked([1]), under.why, other.why]).toEqual([0, UNKNOWN, UNKNOWN, undefined])
    policies.receive(encodePolicy({ ref: 1 }))
    policies.receive(policy(1))
    expect([policies.size, asked([1])]).toEqual([1, undefined])
  })

  it('throw for a message without a whole number, and change nothing', () => {
    const { policies, asked } = setUp()
    policies.receive(policy(1))
    for (let length = 2; length < HEAD_BYTES; length += 1) {
      expect(() => policies.receive(policy(1).subarray(0, length))).toThrow('ends inside a field')
    }
    expect([policies.size, asked([1])]).toEqual([1, undefined])
  })

  it('are kept up to a limit, and one above it denies until there is room', () => {
    const { policies, asked } = setUp()
    for (let ref = 0; ref < MAX_RECEIVED_POLICIES; ref += 1) policies.receive(policy(ref))
    policies.receive(policy(MAX_RECEIVED_POLICIES))
    expect([policies.size, asked([MAX_RECEIVED_POLICIES])]).toEqual([MAX_RECEIVED_POLICIES, UNKNOWN])
    // one that is there may change
    policies.receive(policy(5, deny('a.example')))
    expect(asked([5])).toContain('denied by rule 1')
    policies.receive(encodePolicy({ ref: 6 }))
    policies.receive(policy(MAX_RECEIVED_POLICIES))
    expect([policies.size, asked([MAX_RECEIVED_POLICIES])]).toEqual([MAX_RECEIVED_POLICIES, undefined])
  })

  it('are kept up to so many bytes together', () => {
    const { policies, asked } = setUp()
    const spaces = (ref: number, bytes: number): Uint8Array => {
      const head = policy(ref)
      return concat(head, new Uint8Array(bytes - head.length).fill(0x20))
    }
    const many = MAX_RECEIVED_POLICY_BYTES / (32 * MIB)
    for (let ref = 1; ref < many; ref += 1) policies.receive(spaces(ref, 32 * MIB))
    policies.receive(spaces(many, 32 * MIB + 1))
    expect([policies.size, asked([many])]).toEqual([many - 1, UNKNOWN])
    policies.receive(spaces(many, 32 * MIB))
    expect([policies.size, asked([many])]).toEqual([many, undefined])
    // the place of one that is replaced or given back is free again
    policies.receive(spaces(1, 32 * MIB))
    expect(asked([1])).toBeUndefined()
    policies.receive(policy(many + 1))
    expect(asked([many + 1])).toBe(UNKNOWN)
    policies.receive(encodePolicy({ ref: 1 }))
    policies.receive(policy(many + 1))
    expect(asked([many + 1])).toBeUndefined()
  })
})

describe('what runs under ReceivedPolicies', () => {
  it('is judged again by the address it was connected to', () => {
    const { policies, run } = setUp()
    policies.receive(policy(1))
    const [inside, outside] = [run([1]), run([1])]
    inside.observer.reached?.({ host: '10.0.0.1', port: 443 })
    outside.observer.reached?.({ host: '203.0.113.1', port: 443 })
    policies.receive(policy(2, deny('10.0.0.0/8')))
    expect([inside.why, outside.why]).toEqual([undefined, undefined])
    policies.receive(policy(1, deny('10.0.0.0/8')))
    expect([inside.why, outside.why]).toEqual(['denied by rule 1 of the policy of the token', undefined])
  })

  it('is judged when it is connected, where the policy changed after its addresses were judged', () => {
    const { policies, run } = setUp()
    policies.receive(policy(1))
    const [inside, outside] = [run([1]), run([1])]
    policies.receive(policy(1, deny('10.0.0.0/8')))
    expect([inside.why, outside.why]).toEqual([undefined, undefined])
    inside.observer.reached?.({ host: '10.0.0.1', port: 443 })
    outside.observer.reached?.({ host: '203.0.113.1', port: 443 })
    expect([inside.why, outside.why]).toEqual(['denied by rule 1 of the policy of the token', undefined])
  })

  it('ends where it depends on an address that is not known, as behind a proxy', () => {
    const { policies, run } = setUp()
    policies.receive(policy(1))
    const [named, addressed] = [run([1]), run([1], { host: '203.0.113.1', port: 443 })]
    for (const { observer } of [named, addressed]) observer.opened()
    policies.receive(policy(1, deny('10.0.0.0/8')))
    expect([named.why, addressed.why]).toEqual(['the policy has changed, and its address is not known here', undefined])
  })

  it('is forgotten when it is over', () => {
    const { policies, run } = setUp()
    policies.receive(policy(1))
    const running = run([1])
    expect(policies.running).toBe(1)
    running.observer.closed()
    expect(policies.running).toBe(0)
    policies.receive(encodePolicy({ ref: 1 }))
    expect(running.why).toBeUndefined()
  })
})
