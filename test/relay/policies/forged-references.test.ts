import { describe, expect, it } from 'vitest'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { encodeDisconnect, MessageType } from '../../../src/protocol/messages.js'
import { policyRef } from '../../../src/protocol/policy-message.js'
import { concat, hex, toHex } from '../../support/test-peer.js'
import { type Peer, uuid, World } from '../world.js'

const DENY: TokenPolicy = { egress: [{ action: 'deny', hosts: ['10.0.0.0/8'] }] }
/** The numbers that a provider gets first. */
const REFS = '14 08 00000001 00000002'

/** What stands behind the fields of a Connect, and what a provider is to see of it. */
const TAILS: readonly (readonly [name: string, sent: string, seen: string])[] = [
  ['nothing', '', '00 4c58'],
  ['an empty trailer', '00 4c58', '00 4c58'],
  ['a number', '00 4c58 14 04 00000009', '00 4c58'],
  ['a number twice', '00 4c58 14 04 00000009 14 04 00000008', '00 4c58'],
  [
    'a number before and behind other tags',
    '00 4c58 14 04 00000009 01 04 00001000 14 04 00000008',
    '00 4c58 01 04 00001000',
  ],
  ['a number among unknown tags', '00 4c58 66 01 14 14 04 00000009 67 02 1404', '00 4c58 66 01 14 67 02 1404'],
  ['a number without Resume', '4c58 14 04 00000009', '4c58'],
]
/** Those that count as no trailer: here nothing may be left of them. */
const BROKEN: readonly (readonly [name: string, sent: string, seen: string])[] = [
  ['a trailer that is cut', '00 4c58 66 09 00', '00 4c58'],
  ['a number that is cut', '00 4c58 14 08 00000009', '00 4c58'],
  ['a number of a wrong length', '00 4c58 14 05 0000000900', '00 4c58'],
  ['a known tag of a wrong length', '00 4c58 01 03 000010', '00 4c58'],
  ['a known tag of a wrong length behind a number', '00 4c58 14 04 00000009 02 00', '00 4c58'],
  ['a trailer that is cut, without Resume', '4c58 66 09 00', '4c58'],
  ['no trailer, but bytes', '00 ffff', '00 4c58'],
]

const PROTOCOLS = ['tcp', 'udp'] as const

const head = (protocol: (typeof PROTOCOLS)[number], id: Uint8Array): Uint8Array =>
  protocol === 'tcp' ? concat(hex('010301'), id, hex('09612e6578616d706c65 01bb')) : concat(hex('010302'), id)

async function scene(policy: TokenPolicy | undefined, policies = true) {
  const world = new World()
  await world.relay.addToken({ type: 'reverse', token: 'tenant' })
  await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant', policy })
  const provider = await world.attempt(world.query('tenant', { reverse: true, extensions: true, policies }))
  const connector = await world.join('member', { extensions: true })
  provider.clear()
  return { world, provider, connector }
}

const ofType = (peer: Peer, type: number): readonly Uint8Array[] => peer.raw.filter((raw) => raw[1] === type)
const plain = (text: string): string => text.replaceAll(' ', '')

describe.each(PROTOCOLS)('a connector that forges references in a %s Connect', (protocol) => {
  it.each([...TAILS, ...BROKEN])('by %s: the provider sees those of the relay alone', async (_name, sent, seen) => {
    const { provider, connector } = await scene(DENY)
    const id = uuid()
    await connector.send(concat(head(protocol, id), hex(sent)))
    expect(ofType(provider, MessageType.Policy).map(policyRef)).toEqual([1, 2])
    const [connect] = ofType(provider, MessageType.Connect)
    expect(toHex(connect ?? new Uint8Array())).toBe(toHex(concat(head(protocol, id), hex(`${seen} ${REFS}`))))
    // what it is judged by came before
    expect(provider.raw.map((raw) => raw[1])).toEqual([MessageType.Policy, MessageType.Policy, MessageType.Connect])
  })

  it.each(TAILS)('by %s, without a policy: the provider sees none', async (_name, sent, seen) => {
    const { provider, connector } = await scene(undefined)
    const id = uuid()
    await connector.send(concat(head(protocol, id), hex(sent)))
    const [connect] = ofType(provider, MessageType.Connect)
    const forged = plain(sent).includes('1404000000')
    expect(toHex(connect ?? new Uint8Array())).toBe(toHex(concat(head(protocol, id), hex(forged ? seen : sent))))
    expect(ofType(provider, MessageType.Policy)).toEqual([])
  })

  it.each(BROKEN)('by %s, without a policy: the provider reads none', async (_name, sent) => {
    const { provider, connector } = await scene(undefined)
    await connector.send(concat(head(protocol, uuid()), hex(sent)))
    expect(provider.of(MessageType.Connect)).toMatchObject([{ trailer: undefined }])
  })

  it.each(TAILS)('by %s: a provider that knows no policies gets none', async (_name, sent) => {
    const { provider, connector } = await scene({ egress: [{ action: 'deny', hosts: ['b.example'] }] }, false)
    await connector.send(concat(head(protocol, uuid()), hex(sent)))
    const [connect] = provider.of(MessageType.Connect)
    expect([connect !== undefined, connect?.trailer?.policies]).toEqual([true, undefined])
    expect(ofType(provider, MessageType.Policy)).toEqual([])
  })
})

describe('a connector', () => {
  it('sends a provider no policies of its own', async () => {
    const { provider, connector } = await scene(DENY)
    await connector.send(concat(head('tcp', uuid())))
    const before = provider.raw.length
    await connector.send(hex('01f100000001'), hex('01f1000000017b7d'), hex('01f1'))
    expect([provider.raw.length, connector.closed]).toEqual([before, undefined])
  })

  it('with Resume in its Connect opens nothing', async () => {
    const { provider, connector } = await scene(DENY)
    const id = uuid()
    await connector.send(concat(head('tcp', id), hex('01 4c58 14 04 00000001')))
    expect([provider.raw, connector.of(MessageType.Disconnect)]).toMatchObject([[], [{ error: 'channel expired' }]])
  })

  it('that uses the id of a channel again reaches nothing by it, and the channel stays', async () => {
    const { provider, connector, world } = await scene({ ...DENY, maxStreams: 5 })
    const id = uuid()
    await connector.send(concat(head('tcp', id)))
    provider.clear()
    for (let count = 0; count < 10; count += 1) await connector.send(concat(head('tcp', id)))
    expect(ofType(provider, MessageType.Connect)).toEqual([])
    expect(world.relay.totals().streams).toBe(1)
    for (const peer of [connector, provider]) await peer.send(encodeDisconnect({ channelId: id, error: 'gone' }))
    expect(world.relay.totals().streams).toBe(0)
  })

  it('that gives half-open requests up frees their places', async () => {
    const { provider, connector, world } = await scene({ maxStreams: 2 })
    const refused = () => connector.of(MessageType.ConnectResponse).filter(({ success }) => !success).length
    for (let round = 0; round < 3; round += 1) {
      const ids = [uuid(), uuid()]
      for (const id of ids) await connector.send(head('tcp', id))
      await connector.send(head('tcp', uuid()))
      expect(refused()).toBe(round + 1)
      for (const channelId of ids) {
        for (const peer of [connector, provider]) await peer.send(encodeDisconnect({ channelId, error: 'gone' }))
      }
    }
    expect(ofType(provider, MessageType.Connect)).toHaveLength(6)
    expect(world.relay.totals().streams).toBe(0)
  })
})

describe('a forward client', () => {
  it('names and sends policies to nobody', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'forward', token: 'forward', policy: DENY })
    const client = await world.join('forward', { extensions: true })
    await client.send(hex('01f100000001'), concat(head('tcp', uuid()), hex('00 4c58 14 04 00000009')))
    expect([world.dials.asked, client.closed]).toEqual([[{ host: 'a.example', port: 443 }], undefined])
  })
})
