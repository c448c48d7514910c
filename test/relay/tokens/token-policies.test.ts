import { describe, expect, it } from 'vitest'
import type { EgressRule, TokenPolicy } from '../../../src/policy-fields.js'
import { MAX_RECORD_BYTES } from '../../../src/relay/tokens/token-record.js'
import type { PolicyChange, TokenSpec } from '../../../src/relay/tokens/token-spec.js'
import { World } from '../world.js'
import { memoryAndStore, ScriptedStore } from './scripted-store.js'

/** Every field there is. */
const WHOLE: TokenPolicy = {
  egress: [{ action: 'deny', hosts: ['@private', '*.corp.example'], ports: [22, [8_000, 8_999]], protocol: 'tcp' }],
  egressDefault: 'allow',
  maxStreams: 100,
  maxClients: 5,
  connectsPerMinute: 600,
  sources: ['203.0.113.0/24'],
  clientSubjects: ['CN=ann,O=Example'],
  hours: [{ days: ['mon', 'tue'], from: '08:00', to: '18:00', zone: 'Europe/Berlin' }],
}

async function withPolicy(policy?: TokenPolicy) {
  const store = new ScriptedStore()
  const world = new World({ store })
  const { id } = await world.relay.addToken({ type: 'forward', token: 'laptop', policy })
  const policyOf = () => world.relay.tokenInfo(id)?.policy
  const change = async (to: PolicyChange | null) => (await world.relay.changeToken(id, { policy: to })).policy
  return { store, world, id, policyOf, change }
}

const refusal = (done: Promise<unknown>): Promise<unknown> =>
  done.then(
    () => 'done',
    ({ code, message }) => [code, message],
  )

describe('the policy of a token', () => {
  it.each<TokenSpec>([
    { type: 'forward', token: 'laptop' },
    { type: 'reverse', token: 'office' },
    { type: 'reverse', token: 'homes', allowManageConnector: true },
    { type: 'connector', token: 'guest', reverseToken: 'tenant' },
  ])('is shown, stored, and there again after a restart: %j', async (spec) => {
    const store = new ScriptedStore()
    const world = new World({ store })
    await world.relay.addToken({ type: 'reverse', token: 'tenant' })
    const { id } = await world.relay.addToken({ ...spec, policy: WHOLE })
    expect([world.relay.tokenInfo(id)?.policy, store.records.get(id)?.policy]).toEqual([WHOLE, WHOLE])
    const { memory, restarted } = await memoryAndStore(world, store)
    expect(restarted).toEqual(memory)
    expect(restarted.find((info) => info.id === id)?.policy).toEqual(WHOLE)
  })

  it('is none where nothing is limited', async () => {
    for (const policy of [undefined, {}, { egress: [], maxStreams: undefined }]) {
      const { store, id, policyOf } = await withPolicy(policy)
      expect([policyOf(), store.records.get(id)?.policy]).toEqual([undefined, undefined])
    }
  })

  it.each<[PolicyChange | null, TokenPolicy | undefined]>([
    [{}, WHOLE],
    [{ maxStreams: undefined }, WHOLE],
    [{ maxStreams: 7 }, { ...WHOLE, maxStreams: 7 }],
    [{ egress: [{ action: 'allow' }] }, { ...WHOLE, egress: [{ action: 'allow' }] }],
    [{ hours: null, sources: ['::1'] }, (({ hours, ...rest }) => ({ ...rest, sources: ['::1'] }))(WHOLE)],
    [{ egress: [] }, (({ egress, ...rest }) => rest)(WHOLE)],
    [Object.fromEntries(Object.keys(WHOLE).map((field) => [field, null])), undefined],
    [null, undefined],
  ])('is changed field by field: %j', async (change, expected) => {
    const { world, store, id, ...token } = await withPolicy(WHOLE)
    expect(await token.change(change)).toEqual(expected)
    expect([token.policyOf(), store.records.get(id)?.policy]).toEqual([expected, expected])
    const { memory, restarted } = await memoryAndStore(world, store)
    expect(restarted).toEqual(memory)
  })

  it('can be given to a token that has none, and stays when something else is changed', async () => {
    const { world, id, change, policyOf } = await withPolicy()
    expect(await change({ maxClients: 1 })).toEqual({ maxClients: 1 })
    await world.relay.changeToken(id, { label: 'x', enabled: false })
    expect(policyOf()).toEqual({ maxClients: 1 })
  })

  it.each<[object, string]>([
    [{ maxStreams: -1 }, 'policy: maxStreams must be an integer from 0 to 1000000000'],
    [{ egressDefault: 'no' }, 'policy: egressDefault must be allow or deny'],
    [
      { egress: [{ action: 'deny' }, { action: 'deny', hosts: ['@public'] }] },
      'policy: egress rule 2: there is no list',
    ],
    [{ sources: ['a.example'] }, 'policy: sources: invalid address "a.example"'],
    [{ clientSubjects: ['ann'] }, "policy: clientSubjects: 'ann' is no subject such as CN=ann,O=Example"],
    [
      { hours: [{ from: '08:00', to: '18:00', zone: 'Mars/Base' }] },
      'policy: hours: there is no time zone "Mars/Base"',
    ],
  ])('that is wrong is refused by its field, and nothing changes: %j', async (wrong, message) => {
    const { world, store, change, policyOf } = await withPolicy(WHOLE)
    store.asked.length = 0
    const expected = ['ERR_TOKEN_INVALID', expect.stringContaining(message)]
    expect(await refusal(change(wrong))).toEqual(expected)
    expect(await refusal(world.relay.addToken({ type: 'forward', policy: wrong as TokenPolicy }))).toEqual(expected)
    expect([policyOf(), store.asked, world.relay.alarms.active]).toEqual([WHOLE, [], []])
  })

  it('is as it was when it cannot be stored', async () => {
    const { store, change, policyOf } = await withPolicy(WHOLE)
    store.failing = true
    expect(await refusal(change(null))).toEqual(['ERR_NOT_STORED', 'the disk is full'])
    expect(policyOf()).toEqual(WHOLE)
  })
})

describe('rules and policy of one token', () => {
  /** Rules whose names make the record of `laptop` about `bytes` long. */
  const long = (bytes: number): readonly EgressRule[] => {
    const host = `${'x'.repeat(60)}.example`
    return Array.from({ length: 1_000 }, () => ({
      action: 'deny',
      hosts: Array<string>(Math.floor(bytes / 1_000 / (host.length + 3))).fill(host),
    }))
  }
  const TOO_LONG = ['ERR_TOKEN_INVALID', expect.stringContaining(`at most ${MAX_RECORD_BYTES} bytes`)]

  it('have room for a thousand rules', async () => {
    const { policyOf, change } = await withPolicy()
    const egress = long(190_000)
    expect(await change({ egress })).toEqual({ egress })
    expect(policyOf()?.egress).toHaveLength(1_000)
  })

  it('that are longer than a record may be are refused as such, and the disk is not blamed', async () => {
    const egress = Array.from({ length: 1_000 }, () => ({
      action: 'deny' as const,
      hosts: Array<string>(2).fill(Array<string>(4).fill('x'.repeat(60)).join('.')),
    }))
    const { world, store, change, policyOf } = await withPolicy({ maxClients: 1 })
    store.asked.length = 0
    expect(await refusal(change({ egress }))).toEqual(TOO_LONG)
    const spec: TokenSpec = { type: 'reverse', token: 'office', port: 10_000, policy: { egress } }
    expect(await refusal(world.relay.addToken(spec))).toEqual(TOO_LONG)
    expect([policyOf(), store.asked, world.relay.alarms.active]).toEqual([{ maxClients: 1 }, [], []])
    expect(await world.relay.addToken({ type: 'reverse', token: 'office', port: 10_000 })).toMatchObject({
      port: 10_000,
    })
  })
})
