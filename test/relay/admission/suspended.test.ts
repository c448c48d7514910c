import { describe, expect, it } from 'vitest'
import { encodeAuth, MessageType } from '../../../src/protocol/messages.js'
import { MAX_SESSIONS_PER_TOKEN } from '../../../src/relay/admission/make-room.js'
import { settle } from '../../support/manual-clock.js'
import { connectTcp } from '../splice/channels.js'
import { agentWorld, type Peer, uuid, World } from '../world.js'
import { answerOf, countOf, idOf, joinResumable, lose, wentOn } from './resume-peers.js'

const reverse = { reverse: true }

const back = (world: World, token: string, peer: Peer): Promise<Peer> =>
  joinResumable(world, token, { id: idOf(peer), received: countOf(peer), reverse: token === 'tenant' })

const events = (world: World): string[] =>
  world.lines.map(({ event }) => event).filter((event) => event.startsWith('link.'))

describe('Relay, whom it grants a session that survives', () => {
  async function grantedTo(query: Record<string, string>, trailer?: object): Promise<boolean> {
    const world = await agentWorld()
    if (trailer === undefined) {
      const peer = await world.attempt(new URLSearchParams([...world.query('member'), ...Object.entries(query)]))
      return peer.of(MessageType.AuthResponse)[0]?.trailer?.sessionId !== undefined
    }
    const peer = await world.attempt(query)
    await peer.send(encodeAuth({ token: 'member', reverse: false, instance: uuid(), trailer }))
    return peer.of(MessageType.AuthResponse)[0]?.trailer?.sessionId !== undefined
  }

  it.each([
    ['ext=1 and resume=1', { ext: '1', resume: '1' }, undefined, true],
    ['ext=1 alone', { ext: '1' }, undefined, false],
    ['resume=1 alone', { resume: '1' }, undefined, false],
    ['another value of resume', { ext: '1', resume: '0' }, undefined, false],
    ['a nil id in band', {}, { sessionId: new Uint8Array(16) }, true],
    ['no id in band', {}, {}, false],
    ['a count without an id', {}, { received: 5 }, false],
    ['resume=1 and no id in band', { ext: '1', resume: '1' }, {}, false],
  ])('with %s', async (_name, query, trailer, granted) => {
    expect(await grantedTo(query, trailer)).toBe(granted)
  })

  it('is nobody where it is switched off', async () => {
    const world = await agentWorld({ resumeTimeoutMs: 0 })
    const peer = await joinResumable(world, 'member')
    expect(answerOf(peer)).toEqual({ keepsOrder: true })
    await lose(peer)
    expect(events(world).at(-1)).toBe('link.closed')
  })
})

describe('Relay, a suspended session', () => {
  it('counts for nobody, and counts again when it goes on', async () => {
    const world = await agentWorld()
    const provider = await joinResumable(world, 'tenant', reverse)
    const connectors = [await joinResumable(world, 'member'), await joinResumable(world, 'member')] as const
    const counts = () => [world.relay.tokens()[0]?.clientsCount, provider.partners, connectors[1].partners]
    expect(counts()).toEqual([1, 2, 1])
    await lose(connectors[0])
    expect(counts()).toEqual([1, 1, 1])
    await lose(provider)
    expect(counts().slice(0, 2)).toEqual([0, 1])
    expect(connectors[1].partners).toBe(0)
    const again = await back(world, 'tenant', provider)
    expect([world.relay.tokens()[0]?.clientsCount, again.closed, connectors[1].partners]).toEqual([1, undefined, 1])
    await back(world, 'member', connectors[0])
    expect(again.partners).toBe(2)
    expect(events(world)).toEqual([
      ...Array(3).fill('link.admitted'),
      ...['link.suspended', 'link.suspended', 'link.resumed', 'link.resumed'],
    ])
  })

  it('gets no new channels: others serve them', async () => {
    const world = await agentWorld()
    const [gone, there] = [await joinResumable(world, 'tenant', reverse), await joinResumable(world, 'tenant', reverse)]
    const connector = await world.join('member')
    await lose(gone)
    for (let turn = 0; turn < 4; turn += 1) await connector.send(connectTcp(uuid()))
    expect(there.of(MessageType.Connect)).toHaveLength(4)
    const again = await back(world, 'tenant', gone)
    expect(again.of(MessageType.Connect)).toEqual([])
    for (let turn = 0; turn < 4; turn += 1) await connector.send(connectTcp(uuid()))
    expect(again.of(MessageType.Connect)).toHaveLength(2)
  })

  it('is waited for when there is no other one', async () => {
    const world = await agentWorld()
    const provider = await joinResumable(world, 'tenant', reverse)
    const connector = await world.join('member')
    await lose(provider)
    await connector.send(connectTcp(uuid()))
    const again = await back(world, 'tenant', provider)
    expect(again.of(MessageType.Connect)).toHaveLength(1)
  })

  it.each(['tenant', 'member'])('ends with its token: it stays away when %s is removed', async (name) => {
    const world = await agentWorld()
    const provider = await joinResumable(world, 'tenant', reverse)
    const connector = await joinResumable(world, 'member')
    await lose(provider, connector)
    await world.relay.removeToken(name)
    await world.relay.addToken(
      name === 'tenant' ? { type: 'reverse', token: name } : { type: 'connector', token: name, reverseToken: 'tenant' },
    )
    expect(wentOn(await back(world, name, name === 'tenant' ? provider : connector))).toBe(false)
  })

  it('ends with the relay, which waits for nothing and leaves no timer', async () => {
    const world = await agentWorld()
    const [provider, connector] = [await joinResumable(world, 'tenant', reverse), await joinResumable(world, 'member')]
    await lose(provider, connector)
    await world.relay.close()
    expect(world.clock.pending).toBe(0)
    expect(events(world).filter((event) => event === 'link.closed')).toHaveLength(2)
  })

  it('never has its id in the log', async () => {
    const world = await agentWorld({ trace: true })
    const ids: Uint8Array[] = []
    let peer = await joinResumable(world, 'tenant', reverse)
    for (let turn = 0; turn < 3; turn += 1) {
      ids.push(idOf(peer))
      await lose(peer)
      peer = await back(world, 'tenant', peer)
    }
    await joinResumable(world, 'tenant', { ...reverse, id: uuid() })
    await world.clock.advanceAsync(120_000)
    const text = world.logText.replaceAll('-', '')
    for (const id of ids) {
      expect(text).not.toContain(Buffer.from(id).toString('hex'))
      expect(text).not.toContain(Buffer.from(id).toString('base64'))
      expect(text).not.toContain([...id].join(','))
    }
  })
})

describe('Relay, as many sessions as a token may have', () => {
  it('ends those that are suspended longest first, and refuses when all of them live', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'forward', token: 'forward' })
    const [first, second] = [await joinResumable(world, 'forward'), await joinResumable(world, 'forward')]
    await lose(second)
    await lose(first)
    const rest = Array.from({ length: MAX_SESSIONS_PER_TOKEN - 2 }, () => world.attempt(world.query('forward')))
    await Promise.all(rest)
    await settle()
    expect(world.relay.tokens()).toMatchObject([{ clientsCount: MAX_SESSIONS_PER_TOKEN - 2 }])
    await world.join('forward')
    // the other one was suspended later, and going on needs no room
    const again = await back(world, 'forward', first)
    expect(wentOn(again)).toBe(true)
    const refused = await back(world, 'forward', second)
    expect(refused.of(MessageType.AuthResponse)).toMatchObject([{ success: false }])
    expect(refused.closed).toBeDefined()
    expect(world.relay.tokens()).toMatchObject([{ clientsCount: MAX_SESSIONS_PER_TOKEN }])
  }, 60_000)
})
