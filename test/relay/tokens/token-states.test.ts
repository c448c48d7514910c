import { describe, expect, it } from 'vitest'
import { encodeConnector, MessageType } from '../../../src/protocol/messages.js'
import type { TokenChange } from '../../../src/relay/tokens/token-spec.js'
import { settle } from '../../support/manual-clock.js'
import { countOf, idOf, joinResumable, lose, wentOn } from '../admission/resume-peers.js'
import { connectTcp, endingsOf, openChannel } from '../splice/channels.js'
import { agentWorld, type JoinOptions, type Peer, uuid, type World } from '../world.js'

const NAMES = ['forward', 'tenant', 'member'] as const
const DISABLED = 'the token is disabled'
const EXPIRED = 'the token has expired'

async function threeTokens(options = {}): Promise<World> {
  const world = await agentWorld(options)
  await world.relay.addToken({ type: 'forward', token: 'forward' })
  return world
}

function change(world: World, name: string, what: TokenChange) {
  return world.relay.changeToken(world.relay.tokenId(name) ?? '', what)
}

const expireIn = (world: World, name: string, ms: number) =>
  change(world, name, { expiresAt: world.clock.wallTime() + ms })

const answer = (peer: Peer) => peer.of(MessageType.AuthResponse)[0]
const stateOf = (world: World, name: string) => world.relay.tokenInfo(world.relay.tokenId(name) ?? '')?.state

/** What somebody hears who comes with a token in one form. */
async function heard(world: World, name: string, options: JoinOptions): Promise<(string | number | undefined)[]> {
  const peer = await world.join(name, { ...options, reverse: name === 'tenant' })
  return answer(peer)?.success === true ? ['welcome'] : [answer(peer)?.error, peer.closed?.code]
}

describe.each(NAMES)('the token %s', (name) => {
  it.each([
    ['in the URL', {}],
    ['in band', { inBand: true }],
  ])('is refused with the reason while it is disabled, and once it has expired, %s', async (_, form) => {
    const world = await threeTokens()
    await change(world, name, { enabled: false })
    expect([stateOf(world, name), await heard(world, name, form)]).toEqual(['disabled', [DISABLED, 1008]])
    await change(world, name, { enabled: true })
    expect([stateOf(world, name), await heard(world, name, form)]).toEqual(['active', ['welcome']])
    await expireIn(world, name, 10)
    await world.clock.advanceAsync(10)
    expect([stateOf(world, name), await heard(world, name, form)]).toEqual(['expired', [EXPIRED, 1008]])
    // disabled tells more than expired
    await change(world, name, { enabled: false })
    expect(await heard(world, name, form)).toEqual([DISABLED, 1008])
    await change(world, name, { enabled: true, expiresAt: null })
    expect([stateOf(world, name), await heard(world, name, form)]).toEqual(['active', ['welcome']])
  })

  it('does not tell its state to who comes in another role', async () => {
    const world = await threeTokens()
    await change(world, name, { enabled: false })
    const peer = await world.join(name, { reverse: name !== 'tenant' })
    expect(answer(peer)).toMatchObject({ success: false, error: 'invalid token' })
  })

  it('has its living and suspended sessions ended when it is disabled', async () => {
    const world = await threeTokens()
    const living = await world.join(name, { reverse: name === 'tenant' })
    const suspended = await joinResumable(world, name, { reverse: name === 'tenant' })
    await lose(suspended)
    expect(world.relay.clients().map(({ state }) => state)).toEqual(['connected', 'suspended'])
    await change(world, name, { enabled: false })
    await settle()
    expect(living.closed).toEqual({ code: 1000 })
    expect(world.relay.clients()).toEqual([])
    const again = { id: idOf(suspended), received: countOf(suspended), reverse: name === 'tenant' }
    const refused = await joinResumable(world, name, again)
    expect(answer(refused)).toMatchObject({ success: false, error: DISABLED })
    await change(world, name, { enabled: true })
    // the session is over: there is another one
    expect(wentOn(await joinResumable(world, name, again))).toBe(false)
  })

  it('has its living and suspended sessions ended at the time, and not a millisecond before', async () => {
    const world = await threeTokens()
    const living = await world.join(name, { reverse: name === 'tenant' })
    const suspended = await joinResumable(world, name, { reverse: name === 'tenant' })
    await lose(suspended)
    await expireIn(world, name, 4_321)
    await world.clock.advanceAsync(4_320)
    expect([living.closed, world.relay.clients().length]).toEqual([undefined, 2])
    await world.clock.advanceAsync(1)
    expect([living.closed, world.relay.clients().length]).toEqual([{ code: 1000 }, 0])
  })

  it('ends by the time that was set last', async () => {
    const world = await threeTokens()
    const peer = await world.join(name, { reverse: name === 'tenant' })
    await expireIn(world, name, 1_000)
    await expireIn(world, name, 30_000)
    await world.clock.advanceAsync(29_999)
    expect(peer.closed).toBeUndefined()
    await expireIn(world, name, 60_000)
    await change(world, name, { expiresAt: null })
    await world.clock.advanceAsync(100_000)
    expect(stateOf(world, name)).toBe('active')
    await expireIn(world, name, 500)
    await world.clock.advanceAsync(500)
    expect([peer.closed !== undefined, stateOf(world, name)]).toEqual([true, 'expired'])
  })

  it('ends a second after the calendar jumps behind its time, and nobody comes in meanwhile', async () => {
    const world = await threeTokens()
    const peer = await world.join(name, { reverse: name === 'tenant' })
    await expireIn(world, name, 3_600_000)
    await world.clock.advanceAsync(500)
    world.clock.epoch += 3_600_000
    expect(await heard(world, name, {})).toEqual([EXPIRED, 1008])
    await world.clock.advanceAsync(1_000)
    expect(peer.closed).toEqual({ code: 1000 })
  })

  it('lives longer when the calendar is set back before its time', async () => {
    const world = await threeTokens()
    const peer = await world.join(name, { reverse: name === 'tenant' })
    await expireIn(world, name, 2_000)
    world.clock.epoch -= 10_000
    await world.clock.advanceAsync(11_999)
    peer.transport.pong()
    expect(peer.closed).toBeUndefined()
    await world.clock.advanceAsync(1)
    expect(peer.closed).toEqual({ code: 1000 })
  })

  it('is good again when the calendar is set back after its time, until that comes again', async () => {
    const world = await threeTokens()
    await expireIn(world, name, 2_000)
    await world.clock.advanceAsync(2_000)
    world.clock.epoch -= 10_000
    const peer = await world.join(name, { reverse: name === 'tenant' })
    expect([answer(peer)?.success, stateOf(world, name)]).toEqual([true, 'active'])
    if (name === 'tenant') expect(world.openPorts.size).toBe(1)
    await world.clock.advanceAsync(10_000)
    expect([peer.closed, stateOf(world, name)]).toEqual([{ code: 1000 }, 'expired'])
    expect(world.openPorts.size).toBe(0)
  })

  it('leaves no timer behind when it expires, is changed or is removed', async () => {
    const world = await threeTokens()
    const idle = world.clock.pending
    await expireIn(world, name, 2_000)
    expect(world.clock.pending).toBe(idle + 1)
    await expireIn(world, name, 3_000)
    expect(world.clock.pending).toBe(idle + 1)
    await change(world, name, { expiresAt: null })
    expect(world.clock.pending).toBe(idle)
    await expireIn(world, name, 2_000)
    await world.clock.advanceAsync(2_000)
    expect(world.clock.pending).toBe(idle)
    await expireIn(world, name, 2_000)
    await world.relay.removeToken(name)
    expect(world.clock.pending).toBe(idle)
  })
})

describe('a reverse token that is disabled', () => {
  it('takes its connectors along: their state, their sessions and who comes', async () => {
    const world = await threeTokens()
    const [provider, connector] = [await world.join('tenant'), await world.join('member')]
    await openChannel(connector, provider)
    await change(world, 'tenant', { enabled: false })
    await settle()
    expect([provider.closed, connector.closed]).toEqual([{ code: 1000 }, { code: 1000 }])
    expect(endingsOf(connector)).toEqual([DISABLED])
    expect(stateOf(world, 'member')).toBe('disabled')
    for (const inBand of [true, false]) expect(await heard(world, 'member', { inBand })).toEqual([DISABLED, 1008])
    await change(world, 'tenant', { enabled: true })
    expect(stateOf(world, 'member')).toBe('active')
    expect(await heard(world, 'member', {})).toEqual(['welcome'])
  })

  it('takes its connectors along at its time, which is not theirs', async () => {
    const world = await threeTokens()
    await expireIn(world, 'tenant', 1_000)
    await expireIn(world, 'member', 5_000)
    const connector = await world.join('member')
    await world.clock.advanceAsync(1_000)
    expect([connector.closed, stateOf(world, 'member')]).toEqual([{ code: 1000 }, 'expired'])
    await change(world, 'tenant', { expiresAt: null })
    expect(stateOf(world, 'member')).toBe('active')
    const again = await world.join('member')
    await world.clock.advanceAsync(4_000)
    expect([again.closed, stateOf(world, 'member'), stateOf(world, 'tenant')]).toEqual([
      { code: 1000 },
      'expired',
      'active',
    ])
  })

  it('leaves another tenant alone', async () => {
    const world = await threeTokens()
    await world.relay.addToken({ type: 'reverse', token: 'other' })
    const [other, forward] = [await world.join('other'), await world.join('forward')]
    await change(world, 'tenant', { enabled: false })
    await settle()
    expect([other.closed, forward.closed]).toEqual([undefined, undefined])
  })

  it('refuses who asks for a stream between two messages', async () => {
    const world = await threeTokens()
    const [provider, connector] = [await world.join('tenant'), await world.join('member')]
    provider.clear()
    connector.far.hold()
    await change(world, 'tenant', { enabled: false })
    await connector.send(connectTcp(uuid()))
    connector.far.letGo()
    await world.clock.advanceAsync(4_000)
    expect(provider.of(MessageType.Connect)).toEqual([])
    expect([...world.relay.streams(), ...world.relay.clients()]).toEqual([])
  })
})

describe('a provider that brought connector tokens', () => {
  it('can have one disabled and removed by the operator', async () => {
    const world = await threeTokens()
    await world.relay.addToken({ type: 'reverse', token: 'owner', allowManageConnector: true })
    const provider = await world.join('owner', { instance: uuid() })
    const add = () => provider.send(encodeConnector({ requestId: uuid(), token: 'mine', operation: 1 }))
    await add()
    const connector = await world.join('mine')
    await change(world, 'mine', { enabled: false, label: 'not him' })
    await settle()
    expect(connector.closed).toEqual({ code: 1000 })
    expect(await heard(world, 'mine', {})).toEqual([DISABLED, 1008])
    // adding what is there changes nothing
    await add()
    expect(world.relay.tokenPage({ limit: 1_000 }).entries.at(-1)).toMatchObject({
      token: 'mine',
      source: 'provider',
      stored: false,
      label: 'not him',
      state: 'disabled',
    })
    await world.relay.removeTokenById(world.relay.tokenId('mine') ?? '')
    expect(await heard(world, 'mine', {})).toEqual(['invalid token', 1008])
    expect(provider.closed).toBeUndefined()
    await add()
    expect(await heard(world, 'mine', {})).toEqual(['welcome'])
  })
})
