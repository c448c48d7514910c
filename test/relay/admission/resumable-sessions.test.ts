import { describe, expect, it } from 'vitest'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import type { Admission } from '../../../src/relay/admission/authenticate.js'
import { type ResumableSession, ResumableSessions } from '../../../src/relay/admission/resumable-sessions.js'
import { newToken, type Token } from '../../../src/relay/tokens/tokens.js'
import { ResumableLink } from '../../mux/resume/resumable-fixture.js'
import { channelMoves } from '../../protocol/channel-moves.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { hex } from '../../support/test-peer.js'
import { accept, connectTcp, data, endingsOf, textOf } from '../splice/channels.js'
import { agentWorld, type Peer, uuid, type World } from '../world.js'
import { answerOf, countOf, idOf, joinResumable, lose, type ResumeOptions, wentOn } from './resume-peers.js'

const token = (name: string): Token => ({
  type: 'forward',
  ...newToken(name, 'api', new ManualClock(), nodeCrypto),
})

function desk() {
  const resumable = new ResumableSessions(nodeCrypto)
  const owner = { token: token('a'), role: 'forward', instance: 'one' } as const
  const session: ResumableSession = { ...owner, transport: new ResumableLink().near.transport, cameFrom: () => {} }
  const ask = (id: Uint8Array | undefined, other: Partial<Admission> = {}): ResumableSession | undefined =>
    resumable.find({
      ...owner,
      extensions: true,
      spreads: false,
      inBand: true,
      resume: { id, received: 0 },
      knowsPolicies: false,
      confirm: () => {
        throw new Error('nobody is admitted here')
      },
      refuse: () => {},
      close: () => {},
      gone: new AbortController().signal,
      ...other,
    })
  return { resumable, session, ask }
}

describe('ResumableSessions', () => {
  it('gives a new id each time, of 16 bytes', () => {
    const { resumable } = desk()
    const ids = Array.from({ length: 100 }, () => resumable.newId())
    expect(new Set(ids.map(String)).size).toBe(100)
    expect(ids.every((id) => id.length === 16)).toBe(true)
  })

  it('finds a session for its owner alone, from a count that fits', () => {
    const { resumable, session, ask } = desk()
    const id = resumable.newId()
    resumable.add(id, session)
    expect(ask(id)).toBe(session)
    expect(ask(new Uint8Array(id))).toBe(session)
    const others: Partial<Admission>[] = [
      { token: token('a') },
      { role: 'connector' },
      { instance: 'two' },
      { instance: undefined },
      { resume: { id, received: 1 } },
      { resume: { id: resumable.newId(), received: 0 } },
      { resume: { id: id.subarray(0, 15), received: 0 } },
      { resume: undefined },
    ]
    for (const other of others) expect(ask(id, other)).toBeUndefined()
    expect(ask(undefined)).toBeUndefined()
  })

  it('keeps the id that was used until the client has the new one, which is good at once', () => {
    const { resumable, session, ask } = desk()
    const first = resumable.newId()
    resumable.add(first, session)
    const second = resumable.renew(session)
    expect([ask(first), ask(second), resumable.size]).toEqual([session, session, 1])
    resumable.confirmed(session)
    resumable.confirmed(session)
    expect([ask(first), ask(second)]).toEqual([undefined, session])
    const third = resumable.renew(session)
    resumable.confirmed(session)
    expect([ask(second), ask(third), resumable.size]).toEqual([undefined, session, 1])
  })

  it('forgets every id of a session that is gone', () => {
    const { resumable, session, ask } = desk()
    const first = resumable.newId()
    resumable.add(first, session)
    const second = resumable.renew(session)
    resumable.remove(session)
    resumable.remove(session)
    resumable.confirmed(session)
    expect([ask(first), ask(second), resumable.size]).toEqual([undefined, undefined, 0])
  })
})

/** A channel between a connector that can come back and a provider; the connector has got two messages or so. */
async function resumableChannel(world: World): Promise<{ connector: Peer; provider: Peer; id: Uint8Array }> {
  const provider = await world.join('tenant')
  const connector = await joinResumable(world, 'member')
  const id = uuid()
  await connector.send(connectTcp(id))
  await provider.send(accept(id))
  return { connector, provider, id }
}

const back = (world: World, peer: Peer): Promise<Peer> =>
  joinResumable(world, 'member', { id: idOf(peer), received: countOf(peer) })

describe('Relay, a session whose WebSocket is lost', () => {
  it('goes on with another one: nothing is missing, nothing comes twice, and nobody else hears of it', async () => {
    const world = await agentWorld()
    const { connector, provider, id } = await resumableChannel(world)
    await provider.send(data(id, 'one '))
    connector.transport.send(data(id, 'up '))
    await settle()
    await lose(connector)
    await provider.send(data(id, 'two '))
    const again = await back(world, connector)
    expect(answerOf(again)).toMatchObject({ received: 2, keepsOrder: true })
    await provider.send(data(id, 'three'))
    await again.send(data(id, 'again'))
    expect([textOf(connector), textOf(again), textOf(provider)]).toEqual(['one ', 'two three', 'up again'])
    expect(endingsOf(provider)).toEqual([])
  })

  it('sends again what the client has not received', async () => {
    const world = await agentWorld()
    const { connector, provider, id } = await resumableChannel(world)
    const received = countOf(connector)
    connector.far.hold()
    await provider.send(data(id, 'lost on the way '))
    await lose(connector)
    const again = await joinResumable(world, 'member', { id: idOf(connector), received })
    await provider.send(data(id, 'on'))
    expect(textOf(again)).toBe('lost on the way on')
  })

  it('has a new id each time; the one before is good until the client was heard, then unknown', async () => {
    const world = await agentWorld()
    const first = await joinResumable(world, 'member')
    await lose(first)
    const second = await back(world, first)
    await lose(second)
    // the answer was lost: the client knows the first id only
    const third = await joinResumable(world, 'member', { id: idOf(first), received: countOf(first) + countOf(second) })
    expect([second, third].map(wentOn)).toEqual([true, true])
    await third.send(data(uuid(), 'heard'))
    await lose(third)
    const stale = await joinResumable(world, 'member', { id: idOf(first) })
    expect(wentOn(stale)).toBe(false)
    expect(new Set([first, second, third, stale].map((peer) => String(idOf(peer)))).size).toBe(4)
  })

  it('counts messages about channels that move, which the relay ignores', async () => {
    const world = await agentWorld()
    const { connector, id } = await resumableChannel(world)
    const before = connector.raw.length
    await connector.send(...channelMoves(id))
    expect(connector.raw.length).toBe(before)
    await lose(connector)
    const again = await back(world, connector)
    // its Connect came before them
    expect([wentOn(again), answerOf(again).received]).toEqual([true, 1 + channelMoves(id).length])
  })

  it('is confirmed by SessionControl, too', async () => {
    const world = await agentWorld()
    const first = await joinResumable(world, 'member')
    await lose(first)
    const second = await back(world, first)
    await second.send(hex('01 f0 01 00000000 00000000'))
    await lose(second)
    expect(wentOn(await joinResumable(world, 'member', { id: idOf(first) }))).toBe(false)
  })

  it.each<[string, ResumeOptions & { readonly token?: string }]>([
    ['another token of the same role', { token: 'other' }],
    ['another instance', { instance: uuid() }],
    ['an id that never was', { id: uuid() }],
    ['a count of messages that were never sent', { received: 1_000 }],
  ])('is unknown to %s, who gets a fresh one', async (_name, { token: name = 'member', ...other }) => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'connector', token: 'other', reverseToken: 'tenant' })
    const { connector, provider, id } = await resumableChannel(world)
    await lose(connector)
    const thief = await joinResumable(world, name, { id: idOf(connector), received: countOf(connector), ...other })
    expect([wentOn(thief), idOf(thief).length]).toEqual([false, 16])
    await provider.send(data(id, 'secret'))
    expect(textOf(thief)).toBe('')
    // its owner still finds it
    const owner = await back(world, connector)
    expect([wentOn(owner), textOf(owner)]).toEqual([true, 'secret'])
  })

  it('is taken over while it still seems to live', async () => {
    const world = await agentWorld()
    const { connector, provider, id } = await resumableChannel(world)
    const again = await back(world, connector)
    expect([wentOn(again), connector.closed?.code]).toEqual([true, 1006])
    await provider.send(data(id, 'down'))
    connector.transport.send(data(id, 'late'))
    await again.send(data(id, 'up'))
    expect([textOf(connector), textOf(again), textOf(provider)]).toEqual(['', 'down', 'up'])
    expect(world.relay.tokens()).toMatchObject([{ clientsCount: 1 }])
  })

  it('ends after its time: its channels with it, and its id is unknown', async () => {
    const world = await agentWorld({ resumeTimeoutMs: 5_000 })
    const { connector, provider } = await resumableChannel(world)
    await lose(connector)
    await world.clock.advanceAsync(4_999)
    expect(endingsOf(provider)).toEqual([])
    await world.clock.advanceAsync(1)
    expect(endingsOf(provider)).toHaveLength(1)
    expect(wentOn(await back(world, connector))).toBe(false)
  })

  it('ends at once with a message that breaks the rules, and is no more', async () => {
    const world = await agentWorld()
    const { connector, provider } = await resumableChannel(world)
    await connector.send(hex('01 f0 01 00000000 00000fff'))
    expect([connector.closed?.code, endingsOf(provider).length]).toEqual([1006, 1])
    expect(wentOn(await back(world, connector))).toBe(false)
  })
})
