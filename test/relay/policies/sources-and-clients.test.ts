import { describe, expect, it } from 'vitest'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { MessageType } from '../../../src/protocol/messages.js'
import { countOf, idOf, joinResumable, lose, wentOn } from '../admission/resume-peers.js'
import { type JoinOptions, type Peer, uuid, World } from '../world.js'

const OFFICE = '203.0.113.9'
const ELSEWHERE = '198.51.100.1'
const FROM_OFFICE: TokenPolicy = { sources: ['203.0.113.0/24', '2001:db8::/32'] }

async function world(policy?: TokenPolicy, reversePolicy?: TokenPolicy): Promise<World> {
  const made = new World()
  await made.relay.addToken({ type: 'forward', token: 'forward', policy })
  await made.relay.addToken({ type: 'reverse', token: 'tenant', policy: reversePolicy })
  await made.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant', policy })
  return made
}

const set = async ({ relay }: World, token: string, policy: TokenPolicy): Promise<void> => {
  await relay.changeToken(relay.tokenId(token) ?? '', { policy })
}

const admitted = (peer: Peer): boolean => peer.of(MessageType.AuthResponse)[0]?.success === true
const answer = (peer: Peer): string | undefined => peer.of(MessageType.AuthResponse)[0]?.error
const from = (address: string, more: JoinOptions = {}): JoinOptions => ({ address, ...more })

describe('the sources of a policy', () => {
  it.each([false, true])(
    'let clients in from there alone, and say no more than of a wrong token (in band: %s)',
    async (inBand) => {
      const made = await world(FROM_OFFICE)
      for (const token of ['forward', 'member']) {
        for (const address of [OFFICE, '::ffff:203.0.113.1', '2001:db8::5']) {
          expect(admitted(await made.join(token, from(address, { inBand })))).toBe(true)
        }
        const strange = await made.join(token, from(ELSEWHERE, { inBand }))
        const wrong = await made.join('no such token', from(ELSEWHERE, { inBand }))
        expect([answer(strange), strange.closed]).toEqual([answer(wrong), wrong.closed])
        expect(answer(strange)).toBe('invalid token')
      }
      expect(made.relay.statistics.policyRefusals.sources).toBe(2)
    },
  )

  it('of a reverse token hold for its providers, and for its connectors on top of their own', async () => {
    const made = await world(undefined, FROM_OFFICE)
    const joins = await Promise.all([
      made.join('tenant', from(OFFICE, { reverse: true })),
      made.join('tenant', from(ELSEWHERE, { reverse: true })),
      made.join('member', from(OFFICE)),
      made.join('member', from(ELSEWHERE)),
    ])
    expect(joins.map(admitted)).toEqual([true, false, true, false])
  })

  it('hold for a session that goes on from elsewhere', async () => {
    const made = await world(FROM_OFFICE)
    const first = await joinResumable(made, 'forward', { address: OFFICE })
    await lose(first)
    const strange = await joinResumable(made, 'forward', {
      id: idOf(first),
      received: countOf(first),
      address: ELSEWHERE,
    })
    expect(answer(strange)).toBe('invalid token')
    const back = await joinResumable(made, 'forward', { id: idOf(first), received: countOf(first), address: OFFICE })
    expect(wentOn(back)).toBe(true)
  })

  it('end links that are there when they change, and suspended sessions', async () => {
    const made = await world()
    const [inside, outside, away] = [
      await made.join('forward', from(OFFICE)),
      await made.join('forward', from(ELSEWHERE)),
      await joinResumable(made, 'forward', { address: ELSEWHERE }),
    ]
    await lose(away)
    await set(made, 'forward', FROM_OFFICE)
    await made.clock.advanceAsync(2_000)
    expect([inside.closed, outside.closed !== undefined]).toEqual([undefined, true])
    expect(made.relay.clients().map(({ address }) => address)).toEqual([OFFICE])
  })

  it('judge a session by where it came from last', async () => {
    const made = await world()
    const first = await joinResumable(made, 'forward', { address: ELSEWHERE })
    await lose(first)
    const back = await joinResumable(made, 'forward', { id: idOf(first), received: countOf(first), address: OFFICE })
    await set(made, 'forward', FROM_OFFICE)
    await made.clock.advanceAsync(2_000)
    expect([back.closed, made.relay.clients()[0]?.address]).toEqual([undefined, OFFICE])
  })
})

describe('the sources of a reverse token', () => {
  it('that change end suspended connectors and providers from elsewhere, which do not come back', async () => {
    const made = await world()
    const [connector, provider] = [
      await joinResumable(made, 'member', { address: ELSEWHERE }),
      await joinResumable(made, 'tenant', { address: ELSEWHERE, reverse: true }),
    ]
    await lose(connector, provider)
    await set(made, 'tenant', FROM_OFFICE)
    await made.clock.advanceAsync(2_000)
    expect(made.relay.clients()).toEqual([])
    for (const [token, peer, reverse] of [
      ['member', connector, false],
      ['tenant', provider, true],
    ] as const) {
      const again = { id: idOf(peer), received: countOf(peer), reverse }
      expect(answer(await joinResumable(made, token, { ...again, address: ELSEWHERE }))).toBe('invalid token')
      expect(wentOn(await joinResumable(made, token, { ...again, address: OFFICE }))).toBe(false)
    }
  })

  it.each(['fe80::1%eth0', 'unknown', ''])('let nobody in from %j, which is no address', async (address) => {
    const made = await world({ sources: ['0.0.0.0/0', '::/0'] })
    expect(answer(await made.join('forward', from(address)))).toBe('invalid token')
  })
})

describe('the number of clients of a policy', () => {
  const TWO: TokenPolicy = { maxClients: 2 }

  it('counts instances, not links, and refuses without an answer', async () => {
    const made = await world(TWO)
    const instances = [uuid(), uuid(), uuid()]
    const join = (at: number) => made.join('forward', { instance: instances[at], inBand: true, extensions: true })
    const peers = [await join(0), await join(0), await join(1), await join(1), await join(2)]
    expect(peers.map(admitted)).toEqual([true, true, true, true, false])
    expect(peers[4]?.of(MessageType.AuthResponse)).toEqual([])
    expect([peers[4]?.closed?.code, made.relay.statistics.policyRefusals.clients]).toEqual([1001, 1])
  })

  it('is told before a WebSocket is opened, where the URL has the token', async () => {
    const made = await world(TWO)
    for (let count = 0; count < 2; count += 1) await made.join('forward', { instance: uuid(), extensions: true })
    const query = made.query('forward', { instance: uuid(), extensions: true })
    expect(made.relay.hasRoom(query, { address: OFFICE })).toBe(false)
    expect(made.relay.hasRoom(made.query('member', { instance: uuid() }), { address: OFFICE })).toBe(true)
    // what is going to fail may be opened
    expect(made.relay.hasRoom(made.query('no such token', { instance: uuid() }), { address: OFFICE })).toBe(true)
  })

  it('makes room by the client that is suspended longest', async () => {
    const made = await world(TWO)
    const [first, second] = [
      await joinResumable(made, 'forward', { instance: uuid() }),
      await joinResumable(made, 'forward', { instance: uuid() }),
    ]
    await lose(second)
    await lose(first)
    expect(admitted(await made.join('forward', { instance: uuid(), extensions: true }))).toBe(true)
    expect(made.relay.clients().map(({ state }) => state)).toEqual(['suspended', 'connected'])
    expect(wentOn(await joinResumable(made, 'forward', { id: idOf(second), received: countOf(second) }))).toBe(false)
  })

  it('makes room by several where the limit was lowered', async () => {
    const made = await world({ maxClients: 4 })
    const [first, second, third] = [
      await joinResumable(made, 'forward', { instance: uuid() }),
      await joinResumable(made, 'forward', { instance: uuid() }),
      await joinResumable(made, 'forward', { instance: uuid() }),
    ]
    await lose(first, second)
    await set(made, 'forward', TWO)
    expect(admitted(await made.join('forward', { instance: uuid(), extensions: true }))).toBe(true)
    expect(made.relay.clients().map(({ state }) => state)).toEqual(['connected', 'connected'])
    expect([
      third.closed,
      admitted(await made.join('forward', { instance: uuid(), inBand: true, extensions: true })),
    ]).toEqual([...[undefined, false]])
  })

  it('lets a suspended client come back when all places are taken', async () => {
    const made = await world({ maxClients: 1 })
    const instance = uuid()
    const first = await joinResumable(made, 'forward', { instance })
    await lose(first)
    const back = await joinResumable(made, 'forward', { instance, id: idOf(first), received: countOf(first) })
    expect(wentOn(back)).toBe(true)
  })

  it('of 0 lets nobody in, and leaves those who are there', async () => {
    const made = await world()
    const there = await made.join('forward', { instance: uuid(), extensions: true })
    await set(made, 'forward', { maxClients: 0 })
    expect(there.closed).toBeUndefined()
    expect(admitted(await made.join('forward', { instance: uuid(), inBand: true, extensions: true }))).toBe(false)
  })

  it('of a reverse token counts providers, and the connectors of all its tokens together', async () => {
    const made = await world(undefined, { maxClients: 1 })
    await made.relay.addToken({ type: 'connector', token: 'second', reverseToken: 'tenant' })
    const join = (token: string, reverse = false) =>
      made.join(token, { reverse, instance: uuid(), inBand: true, extensions: true })
    const peers = [await join('tenant', true), await join('tenant', true), await join('member'), await join('second')]
    expect(peers.map(admitted)).toEqual([true, false, true, false])
  })

  it('that is lowered lets those go on who are there or suspended, and nobody else in', async () => {
    const made = await world({ maxClients: 3 })
    const [living, away, gone] = [uuid(), uuid(), uuid()]
    await made.join('forward', { instance: living, extensions: true })
    const [second, third] = [
      await joinResumable(made, 'forward', { instance: away }),
      await joinResumable(made, 'forward', { instance: gone }),
    ]
    await lose(second, third)
    await set(made, 'forward', { maxClients: 1 })
    const join = (instance: Uint8Array) => made.join('forward', { instance, inBand: true, extensions: true })
    expect(admitted(await join(uuid()))).toBe(false)
    expect(admitted(await join(living))).toBe(true)
    const back = await joinResumable(made, 'forward', { instance: away, id: idOf(second), received: countOf(second) })
    expect(wentOn(back)).toBe(true)
    expect(made.relay.clients().filter(({ state }) => state === 'suspended')).toHaveLength(1)
  })

  it('lets a client go on whose loss the relay has not noticed yet', async () => {
    const made = await world({ maxClients: 1 })
    const instance = uuid()
    const first = await joinResumable(made, 'forward', { instance })
    const back = await joinResumable(made, 'forward', { instance, id: idOf(first), received: countOf(first) })
    expect([wentOn(back), made.relay.clients().length]).toEqual([true, 1])
  })

  it('lets nobody in by the session of another client', async () => {
    const made = await world({ maxClients: 1 })
    const first = await joinResumable(made, 'forward', { instance: uuid() })
    const thief = await joinResumable(made, 'forward', { instance: uuid(), id: idOf(first), received: countOf(first) })
    expect([thief.of(MessageType.AuthResponse), thief.closed?.code, first.closed]).toEqual([[], 1001, undefined])
  })

  it('of both tokens drops no more suspended clients than it needs', async () => {
    const made = await world({ maxClients: 1 }, { maxClients: 2 })
    await made.relay.addToken({ type: 'connector', token: 'second', reverseToken: 'tenant' })
    const [other, own] = [
      await joinResumable(made, 'second', { instance: uuid() }),
      await joinResumable(made, 'member', { instance: uuid() }),
    ]
    await lose(other, own)
    expect(admitted(await made.join('member', { instance: uuid(), extensions: true }))).toBe(true)
    const token = (name: string) => made.relay.tokenId(name)
    expect(made.relay.clients().map(({ tokenId, state }) => [tokenId, state])).toEqual([
      [token('second'), 'suspended'],
      [token('member'), 'connected'],
    ])
  })

  it('counts every client without an instance', async () => {
    const made = await world(TWO)
    const peers = [await made.join('forward'), await made.join('forward')]
    expect(peers.map(admitted)).toEqual([true, true])
    const third = await made.join('forward', { inBand: true })
    expect([admitted(third), third.closed?.code]).toEqual([false, 1001])
  })
})
