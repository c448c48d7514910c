import { describe, expect, it } from 'vitest'
import { encodeAuth, encodeLog, MessageType } from '../../../src/protocol/messages.js'
import {
  HELD_LINK_ANSWER_MS,
  RELEASE_ANSWER_MS,
  RETIRE_MS,
  SECOND_TRY_MS,
} from '../../../src/relay/admission/held-links.js'
import { settle } from '../../support/manual-clock.js'
import { connectTcp, data, openChannel } from '../splice/channels.js'
import { agentWorld, type Peer, uuid, World } from '../world.js'

async function forwardWorld(): Promise<World> {
  const world = new World()
  await world.relay.addToken({ type: 'forward', token: 'tok1' })
  await world.relay.addToken({ type: 'forward', token: 'tok2' })
  return world
}

/** Neither reads nor answers any more. */
const fallSilent = (peer: Peer): void => peer.transport.pause()

const admitted = (peer: Peer): boolean => peer.of(MessageType.AuthResponse)[0]?.success === true

const rejections = (world: World) => world.lines.filter(({ event }) => event === 'link.rejected')

/** What the node layer asks before it upgrades, and what came of it. */
function ask(world: World, token: string, instance: Uint8Array, signal?: AbortSignal) {
  const answers: (boolean | undefined)[] = []
  const may = world.relay.mayConnect(world.query(token, { instance }), { address: '192.0.2.1' }, { signal })
  if (may === undefined) answers.push(undefined)
  else void may.then((given) => answers.push(given))
  return answers
}

describe('Relay, a further link of an instance in the URL form', () => {
  it('is not let in while the held link lives, and says so in one line', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    await world.join('tok1', { instance })
    const answers = ask(world, 'tok1', instance)
    await settle()
    expect(answers).toEqual([false])
    expect(rejections(world).map(({ fields }) => fields.code)).toEqual(['ERR_LIMIT'])
    expect(world.logText).not.toContain('tok1')
  })

  it('is let in when nothing came on the held link for 3 s, which is given up', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const held = await world.join('tok1', { instance })
    fallSilent(held)
    const answers = ask(world, 'tok1', instance)
    await world.clock.advanceAsync(HELD_LINK_ANSWER_MS - 1)
    expect(answers).toEqual([])
    await world.clock.advanceAsync(1)
    expect(answers).toEqual([true])
    expect(admitted(await world.join('tok1', { instance }))).toBe(true)
    expect(world.relay.clients()).toHaveLength(1)
    expect(world.lines.find(({ event }) => event === 'link.closed')?.fields.code).toBe('ERR_LINK_TIMEOUT')
  })

  it('is refused by any frame of the held link, a message as well as a pong', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const held = await world.join('tok1', { instance })
    fallSilent(held)
    const answers = ask(world, 'tok1', instance)
    await world.clock.advanceAsync(HELD_LINK_ANSWER_MS - 1)
    await held.send(encodeLog({ level: 'debug', message: 'here' }))
    expect(answers).toEqual([false])
  })

  it.each([true, false])(
    'is judged by what leaves the held link while that is full: some of it does (%s)',
    async (some) => {
      const world = await agentWorld()
      const instance = uuid()
      const provider = await world.join('tenant', { reverse: true })
      const held = await world.join('member', { instance })
      const id = await openChannel(held, provider)
      held.far.hold()
      for (let count = 0; count < 8; count += 1) await provider.send(data(id, new Uint8Array(65_536)))
      const answers = ask(world, 'member', instance)
      await world.clock.advanceAsync(HELD_LINK_ANSWER_MS - 1)
      if (some) held.far.flush(1)
      await world.clock.advanceAsync(1)
      expect([answers, held.closed]).toEqual(some ? [[false], undefined] : [[true], { code: 1006 }])
    },
  )

  it('waits for nothing when the instance has no link, or none any more', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    expect(ask(world, 'tok1', instance)).toEqual([undefined])
    const held = await world.join('tok1', { instance })
    held.transport.abort()
    await settle()
    expect(ask(world, 'tok1', instance)).toEqual([undefined])
  })

  it('waits for nothing with the wrong token, a wrong role or a switched off token: no link is pinged', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const held = await world.join('tok1', { instance })
    held.far.hold()
    expect(ask(world, 'wrong', instance)).toEqual([undefined])
    expect(ask(world, 'tok2', instance)).toEqual([undefined])
    const query = world.query('tok1', { instance, reverse: true })
    expect(world.relay.mayConnect(query, { address: '192.0.2.1' })).toBeUndefined()
    expect(world.relay.mayConnect(new URLSearchParams('token=short'), { address: '192.0.2.1' })).toBeUndefined()
    expect(world.relay.mayConnect(new URLSearchParams(), { address: '192.0.2.1' })).toBeUndefined()
    expect(held.far.queuedFrames).toBe(0)
    await world.relay.changeToken(world.relay.tokenId('tok1') ?? '', { enabled: false })
    expect(ask(world, 'tok1', instance)).toEqual([undefined])
  })

  it('asks nothing of clients that show part B, or name no instance', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    for (let count = 0; count < 4; count += 1) {
      await world.join('tok1', { instance, extensions: true })
      await world.join('tok1')
      await world.join('tok1', { instance: new Uint8Array(16) })
    }
    expect(world.relay.clients()).toHaveLength(12)
    expect(ask(world, 'tok1', new Uint8Array(16))).toEqual([undefined])
  })

  it('takes the same id with another token for another instance', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const mine = await world.join('tok1', { instance })
    const other = await world.join('tok2', { instance })
    expect([admitted(mine), admitted(other)]).toEqual([true, true])
    expect([mine.closed, other.closed]).toEqual([undefined, undefined])
  })

  it('serves two instances at once, each by its own link', async () => {
    const world = await forwardWorld()
    const [silent, alive] = [uuid(), uuid()]
    fallSilent(await world.join('tok1', { instance: silent }))
    await world.join('tok1', { instance: alive })
    const answers = [ask(world, 'tok1', silent), ask(world, 'tok1', alive)]
    await world.clock.advanceAsync(HELD_LINK_ANSWER_MS)
    expect(answers).toEqual([[true], [false]])
  })

  it('says nothing of an attempt whose connection went', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    fallSilent(await world.join('tok1', { instance }))
    const gone = new AbortController()
    const answers = ask(world, 'tok1', instance, gone.signal)
    gone.abort()
    await settle()
    expect([answers, rejections(world), world.relay.clientTable.held.waiting]).toEqual([[false], [], 0])
  })

  it.each([
    ['its token is removed', (world: World) => world.relay.removeToken('tok1')],
    [
      'its token is switched off',
      (world: World) => world.relay.changeToken(world.relay.tokenId('tok1') ?? '', { enabled: false }),
    ],
  ])('waits no longer when %s, and is refused in the WebSocket', async (_, change) => {
    const world = await forwardWorld()
    const instance = uuid()
    fallSilent(await world.join('tok1', { instance }))
    const answers = ask(world, 'tok1', instance)
    void change(world)
    await settle()
    expect(answers).toEqual([true])
    expect(admitted(await world.join('tok1', { instance }))).toBe(false)
  })

  it.each([
    ['drain', (world: World) => world.relay.drain({ limitMs: 60_000 })],
    ['close', (world: World) => world.relay.close()],
  ])('is refused at once on %s', async (_, end) => {
    const world = await forwardWorld()
    const instance = uuid()
    fallSilent(await world.join('tok1', { instance }))
    const answers = ask(world, 'tok1', instance)
    void end(world)
    await settle()
    expect(answers).toEqual([false])
    expect(world.relay.clientTable.held.waiting).toBe(0)
  })
})

describe('Relay, a further link of an instance in the in-band form', () => {
  const knock = async (world: World, instance: Uint8Array, token = 'tok1'): Promise<Peer> =>
    world.join(token, { instance, inBand: true, release: '1.10' })

  it('is closed without an answer while the held link lives', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const held = await knock(world, instance)
    const further = await knock(world, instance)
    // the held one was asked for its release
    await world.clock.advanceAsync(RELEASE_ANSWER_MS)
    expect([further.raw, further.closed]).toEqual([[], { code: 1001 }])
    expect([held.closed, rejections(world).length]).toEqual([undefined, 1])
  })

  it('is admitted when the held link is silent, and loses nothing of what it said meanwhile', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const held = await knock(world, instance)
    fallSilent(held)
    const further = await knock(world, instance)
    // deployed clients send before they are admitted
    await further.send(data(uuid(), new Uint8Array(100_000)))
    expect(further.raw).toEqual([])
    await world.clock.advanceAsync(HELD_LINK_ANSWER_MS)
    expect(admitted(further)).toBe(true)
    expect(further.of(MessageType.Disconnect)).toHaveLength(1)
    expect(world.relay.clients()).toHaveLength(1)
  })

  it('is one of several that come at once: the first one gets the place', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    fallSilent(await knock(world, instance))
    const further = [await knock(world, instance), await knock(world, instance), await knock(world, instance)]
    await world.clock.advanceAsync(HELD_LINK_ANSWER_MS)
    expect(further.map(admitted)).toEqual([true, false, false])
    expect(further.map(({ closed }) => closed?.code)).toEqual([undefined, 1001, 1001])
  })

  it.each([true, false])('takes the place of one without a channel at the second try (in-band: %s)', async (inBand) => {
    const world = await forwardWorld()
    const instance = uuid()
    const first = await world.join('tok1', { instance, inBand, release: '1.10' })
    await world.clock.advanceAsync(SECOND_TRY_MS)
    expect(ask(world, 'tok1', instance)).toEqual([undefined])
    const second = await world.join('tok1', { instance, inBand, release: '1.10' })
    await settle()
    expect([admitted(second), first.closed?.code, second.closed]).toEqual([true, 1000, undefined])
    expect(world.relay.clients()).toHaveLength(1)
  })

  it('keeps a link that has a channel at the second try', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const first = await world.join('tok1', { instance })
    await first.send(connectTcp(uuid()))
    await world.clock.advanceAsync(SECOND_TRY_MS)
    const answers = ask(world, 'tok1', instance)
    await settle()
    expect([answers, first.closed]).toEqual([[false], undefined])
  })

  it('gives new streams of a provider to the link that took the place', async () => {
    const world = await agentWorld()
    const instance = uuid()
    const first = await world.join('tenant', { instance, reverse: true })
    await world.clock.advanceAsync(SECOND_TRY_MS)
    const second = await world.join('tenant', { instance, reverse: true })
    const connector = await world.join('member', {})
    await connector.send(connectTcp(uuid()))
    expect([first, second].map((peer) => peer.of(MessageType.Connect).length)).toEqual([0, 1])
    // what it said first is still heard, such as its connector tokens
    expect(first.closed).toBeUndefined()
    await world.clock.advanceAsync(RETIRE_MS)
    expect([first.closed?.code, second.closed]).toEqual([1000, undefined])
  })

  it('is a link of its own in release 1.8, which keeps a channel on one link', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    const links = [
      await world.join('tok1', { instance, inBand: true }),
      await world.join('tok1', { instance, inBand: true }),
    ]
    expect(links.map(admitted)).toEqual([true, true])
    expect(links.map(({ closed }) => closed)).toEqual([undefined, undefined])
    expect(links.map((link) => link.of(MessageType.Log))).toEqual([[], []])
  })

  it.each([
    ['v1.10.1', 4],
    ['v1.10.3', 1],
  ])('is asked for its release: %s may have several links', async (version, count) => {
    const world = await forwardWorld()
    const instance = uuid()
    const first = await knock(world, instance)
    expect(first.of(MessageType.Log)).toMatchObject([{ level: 'trace', message: 'probe:release' }])
    await first.send(encodeLog({ level: 'trace', message: `pong:${JSON.stringify({ version })}` }))
    const others = [await knock(world, instance), await knock(world, instance), await knock(world, instance)]
    expect(world.relay.clients()).toHaveLength(count)
    expect([first.closed, ...others.map(({ closed }) => closed)].filter((closed) => closed === undefined)).toHaveLength(
      count,
    )
  })

  it('leaves its place when its connection goes', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    fallSilent(await knock(world, instance))
    const gone = await knock(world, instance)
    const next = await knock(world, instance)
    gone.transport.abort()
    await settle()
    expect(world.relay.clientTable.held.waiting).toBe(1)
    await world.clock.advanceAsync(HELD_LINK_ANSWER_MS)
    expect(admitted(next)).toBe(true)
  })

  it('is closed when its token is removed while it waits', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    fallSilent(await knock(world, instance))
    const further = await knock(world, instance)
    void world.relay.removeToken('tok1')
    await settle()
    expect([further.raw, further.closed]).toEqual([[], { code: 1001 }])
  })

  it('is closed on drain, and leaves no timer on close', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    fallSilent(await knock(world, instance))
    const further = await knock(world, instance)
    void world.relay.drain({ limitMs: 60_000 })
    await settle()
    expect(further.closed).toEqual({ code: 1001 })
    const closed = world.relay.close()
    await world.clock.advanceAsync(60_000)
    await closed
    await world.closeAll()
    expect(world.clock.pending).toBe(0)
  })

  it('does not concern the links of a stranger with the same id', async () => {
    const world = await agentWorld()
    const instance = uuid()
    const provider = await world.join('tenant', { instance, inBand: true, reverse: true })
    const stranger = await world.attempt()
    await stranger.send(encodeAuth({ token: 'guessed', reverse: true, instance }))
    const connector = await world.join('member', { instance, inBand: true })
    expect([admitted(provider), admitted(stranger), admitted(connector)]).toEqual([true, false, true])
    expect(provider.closed).toBeUndefined()
  })
})
