import { describe, expect, it } from 'vitest'
import { INSTANCE_RESERVATION_MS } from '../../src/protocol/limits.js'
import { encodeConnector, MessageType } from '../../src/protocol/messages.js'
import { settle } from '../support/manual-clock.js'
import { hex, toHex } from '../support/test-peer.js'
import { accept, connectTcp, data, textOf } from './splice/channels.js'
import { type Peer, uuid, World } from './world.js'

const ADD = 1
const REMOVE = 2

async function autonomyWorld(): Promise<World> {
  const world = new World()
  await world.relay.addToken({ type: 'reverse', token: 'tenant', allowManageConnector: true })
  return world
}

/** Asks for one change; gives the error text, or the token that the answer names. */
async function ask(peer: Peer, token: string, operation = ADD): Promise<string | undefined> {
  const requestId = uuid()
  await peer.send(encodeConnector({ requestId, token, operation }))
  const answer = peer.of(MessageType.ConnectorResponse).find((each) => toHex(each.requestId) === toHex(requestId))
  return answer?.success === true ? `ok ${answer.token}` : answer?.error
}

const connectorTokens = (world: World): readonly string[] =>
  world.relay.tokens().flatMap((token) => (token.type === 'reverse' ? token.connectorTokens : []))

const isAdmitted = (peer: Peer): boolean => peer.of(MessageType.AuthResponse)[0]?.success === true

describe('connector tokens of an instance', () => {
  it('can be added, used and removed by it', async () => {
    const world = await autonomyWorld()
    const provider = await world.join('tenant', { instance: uuid() })
    expect(await ask(provider, 'mine')).toBe('ok mine')
    expect(connectorTokens(world)).toEqual(['mine'])
    const connector = await world.join('mine')
    expect(isAdmitted(connector)).toBe(true)
    expect(await ask(provider, 'mine', REMOVE)).toBe('ok mine')
    expect(connectorTokens(world)).toEqual([])
    await world.clock.advanceAsync(0)
    expect(connector.closed).toBeDefined()
    expect(isAdmitted(await world.join('mine'))).toBe(false)
  })

  it('are generated when the request names none', async () => {
    const world = await autonomyWorld()
    const provider = await world.join('tenant')
    const answer = (await ask(provider, '')) ?? ''
    expect(answer).toMatch(/^ok [0-9A-Za-z]{32}$/)
    expect(isAdmitted(await world.join(answer.slice(3)))).toBe(true)
  })

  it('takes the request of a deployed provider', async () => {
    const world = await autonomyWorld()
    const provider = await world.join('tenant')
    await provider.send(hex('0107eb46daa8a89547f78ea3b83ad31cdb8f066d79636f6e6e01'))
    expect(provider.of(MessageType.ConnectorResponse)[0]).toMatchObject({ success: true, token: 'myconn' })
  })

  it.each([
    ['the reserved word', 'anonymous', /reserved/],
    ['control characters', 'a\nb', /connector token must be/],
  ])('refuse %s', async (_, token, error) => {
    const world = await autonomyWorld()
    const provider = await world.join('tenant')
    expect(await ask(provider, token)).toMatch(error)
    expect(connectorTokens(world)).toEqual([])
  })

  it('refuse an operation nobody knows', async () => {
    const world = await autonomyWorld()
    const provider = await world.join('tenant')
    expect(await ask(provider, 'mine', 3)).toMatch(/unknown connector operation/)
  })

  it('adding an own token again succeeds, also over another link of the instance', async () => {
    const world = await autonomyWorld()
    const instance = uuid()
    const [one, two] = [
      await world.join('tenant', { instance, extensions: true }),
      await world.join('tenant', { instance, extensions: true, inBand: true, reverse: true }),
    ]
    expect(await ask(one, 'mine')).toBe('ok mine')
    expect(await ask(one, 'mine')).toBe('ok mine')
    expect(await ask(two, 'mine')).toBe('ok mine')
    expect(await ask(two, 'mine', REMOVE)).toBe('ok mine')
  })

  it('another instance can neither add nor remove them, nor learn that they exist by removing', async () => {
    const world = await autonomyWorld()
    const owner = await world.join('tenant', { instance: uuid() })
    const other = await world.join('tenant', { instance: uuid() })
    await ask(owner, 'mine')
    expect(await ask(other, 'mine')).toBe('connector token already exists')
    expect(await ask(other, 'mine', REMOVE)).toBe('connector token not found')
    expect(await ask(other, 'nobodys', REMOVE)).toBe('connector token not found')
    expect(connectorTokens(world)).toEqual(['mine'])
  })

  it('can not be the name of any token of the server, nor remove one', async () => {
    const world = await autonomyWorld()
    await world.relay.addToken({ type: 'forward', token: 'operator' })
    const provider = await world.join('tenant')
    expect(await ask(provider, 'operator')).toBe('connector token already exists')
    expect(await ask(provider, 'operator', REMOVE)).toBe('connector token not found')
    expect(await ask(provider, 'tenant', REMOVE)).toBe('connector token not found')
    expect(world.relay.tokens()).toHaveLength(2)
  })

  it('that the operator has disabled can not be switched on by removing and adding them', async () => {
    const world = await autonomyWorld()
    const provider = await world.join('tenant')
    await ask(provider, 'mine')
    await world.relay.changeToken(world.relay.tokenId('mine') ?? '', { enabled: false })
    expect(await ask(provider, 'mine', REMOVE)).toBe('the operator has disabled this connector token')
    await ask(provider, 'mine')
    expect(world.relay.tokenInfo(world.relay.tokenId('mine') ?? '')).toMatchObject({ state: 'disabled' })
  })

  it('links with the nil instance are instances of their own, and the nil id is no token', async () => {
    const world = await autonomyWorld()
    const one = await world.join('tenant', { inBand: true, reverse: true })
    const two = await world.join('tenant', { inBand: true, reverse: true })
    await ask(one, 'mine')
    expect(await ask(two, 'mine')).toBe('connector token already exists')
    for (const text of ['00000000-0000-0000-0000-000000000000', '\0'.repeat(16)]) {
      expect(isAdmitted(await world.join(text))).toBe(false)
    }
  })

  it('at most 64 an instance and 1,024 a reverse token', async () => {
    const world = await autonomyWorld()
    const providers = []
    for (let count = 0; count < 17; count += 1) providers.push(await world.join('tenant', { instance: uuid() }))
    for (const [index, provider] of providers.slice(0, 16).entries()) {
      const requests = Array.from({ length: 65 }, (_, each) =>
        encodeConnector({ requestId: uuid(), token: `t${index}-${each}`, operation: ADD }),
      )
      await provider.send(...requests)
      const answers = provider.of(MessageType.ConnectorResponse)
      expect(answers.map(({ success }) => success)).toEqual([...Array(64).fill(true), false])
    }
    expect(connectorTokens(world)).toHaveLength(1_024)
    const last = providers[16]
    expect(last && (await ask(last, 'one more'))).toBe('too many connector tokens')
  })

  it('guesses at other tokens are slowed down, for all links of the tenant together', async () => {
    const world = await autonomyWorld()
    await world.relay.addToken({ type: 'forward', token: 'operator' })
    const [one, two] = [await world.join('tenant'), await world.join('tenant')]
    for (let count = 0; count < 10; count += 1) expect(await ask(one, 'operator')).toMatch(/already exists/)
    expect(await ask(one, 'operator')).toMatch(/try again later/)
    expect(await ask(two, 'free')).toMatch(/try again later/)
    await world.clock.advanceAsync(5_000)
    expect(await ask(two, 'operator')).toMatch(/already exists/)
    expect(await ask(two, 'operator')).toMatch(/try again later/)
  })
})

describe('isolation of instances', () => {
  it('a connector reaches only the instance that added its token', async () => {
    const world = await autonomyWorld()
    const providers = [
      await world.join('tenant', { instance: uuid() }),
      await world.join('tenant', { instance: uuid() }),
    ]
    for (const [index, provider] of providers.entries()) await ask(provider, `c${index}`)
    for (const [index, provider] of providers.entries()) {
      const connector = await world.join(`c${index}`)
      for (const peer of providers) peer.clear()
      for (let count = 0; count < 4; count += 1) await connector.send(connectTcp(uuid()))
      expect(provider.of(MessageType.Connect)).toHaveLength(4)
      expect(providers.flatMap((peer) => peer.of(MessageType.Connect))).toHaveLength(4)
    }
  })

  it('a connector waits for its own instance, whoever else is there', async () => {
    const world = await autonomyWorld()
    const instance = uuid()
    const owner = await world.join('tenant', { instance })
    const other = await world.join('tenant', { instance: uuid() })
    await ask(owner, 'mine')
    const connector = await world.join('mine')
    owner.transport.abort()
    await settle()
    const id = uuid()
    await connector.send(connectTcp(id))
    const back = await world.join('tenant', { instance })
    await back.send(accept(id), data(id, 'mine'))
    expect(textOf(connector)).toBe('mine')
    expect(other.of(MessageType.Connect)).toEqual([])
  })

  it('several links of one instance share its channels', async () => {
    const world = await autonomyWorld()
    const instance = uuid()
    const links = [
      await world.join('tenant', { instance, extensions: true }),
      await world.join('tenant', { instance, extensions: true }),
    ]
    await ask(links[0] as Peer, 'mine')
    const connector = await world.join('mine')
    for (let count = 0; count < 4; count += 1) await connector.send(connectTcp(uuid()))
    expect(links.map((peer) => peer.of(MessageType.Connect).length)).toEqual([2, 2])
  })
})

describe('reservation', () => {
  it('keeps the tokens of a vanished instance for 60 s, then frees them and ends their connectors', async () => {
    const world = await autonomyWorld()
    const owner = await world.join('tenant', { instance: uuid() })
    const other = await world.join('tenant', { instance: uuid() })
    await ask(owner, 'mine')
    const connector = await world.join('mine')
    owner.transport.abort()
    for (let waited = 0; waited < INSTANCE_RESERVATION_MS - 1; waited += 9_999.833) {
      other.transport.pong()
      connector.transport.pong()
      await world.clock.advanceAsync(Math.min(9_999.833, INSTANCE_RESERVATION_MS - 1 - waited))
    }
    expect(await ask(other, 'mine')).toBe('connector token already exists')
    expect(connector.closed).toBeUndefined()
    await world.clock.advanceAsync(1)
    expect(connectorTokens(world)).toEqual([])
    expect(connector.closed).toBeDefined()
    expect(await ask(other, 'mine')).toBe('ok mine')
  })

  it('ends when the instance comes back, which may add its tokens again', async () => {
    const world = await autonomyWorld()
    const instance = uuid()
    const owner = await world.join('tenant', { instance })
    await ask(owner, 'mine')
    owner.transport.abort()
    await settle()
    const back = await world.join('tenant', { instance })
    expect(await ask(back, 'mine')).toBe('ok mine')
    for (let waited = 0; waited < INSTANCE_RESERVATION_MS; waited += 10_000) {
      back.transport.pong()
      await world.clock.advanceAsync(10_000)
    }
    expect(connectorTokens(world)).toEqual(['mine'])
  })

  it('begins when the last of several links is gone', async () => {
    const world = await autonomyWorld()
    const instance = uuid()
    const links = [
      await world.join('tenant', { instance, extensions: true }),
      await world.join('tenant', { instance, extensions: true }),
    ]
    await ask(links[0] as Peer, 'mine')
    links[0]?.transport.abort()
    for (let waited = 0; waited < INSTANCE_RESERVATION_MS; waited += 10_000) {
      links[1]?.transport.pong()
      await world.clock.advanceAsync(10_000)
    }
    expect(connectorTokens(world)).toEqual(['mine'])
  })

  it('an instance without a UUID has none: its tokens are free at once', async () => {
    const world = await autonomyWorld()
    const owner = await world.join('tenant')
    await ask(owner, 'mine')
    owner.transport.abort()
    await settle()
    expect(connectorTokens(world)).toEqual([])
    expect(await ask(await world.join('tenant'), 'mine')).toBe('ok mine')
  })

  it('leaves no timer when the relay closes', async () => {
    const world = await autonomyWorld()
    const gone = await world.join('tenant', { instance: uuid() })
    const here = await world.join('tenant', { instance: uuid() })
    await ask(gone, 'one')
    await ask(here, 'two')
    gone.transport.abort()
    await settle()
    await world.relay.close()
    await world.clock.advanceAsync(10_000)
    expect(world.clock.pending).toBe(0)
  })
})

describe('a reverse token that is removed', () => {
  it('lets its providers add nothing while their links are being closed', async () => {
    const world = await autonomyWorld()
    const provider = await world.join('tenant', { instance: uuid() })
    // a closing link waits a moment for what is queued
    provider.far.hold()
    const filler = encodeConnector({ requestId: uuid(), token: 'x'.repeat(200), operation: ADD })
    await provider.send(...Array.from({ length: 1_000 }, () => filler))
    await world.relay.removeToken('tenant')
    await provider.send(encodeConnector({ requestId: uuid(), token: 'late', operation: ADD }))
    expect(provider.closed).toBeUndefined()
    await world.relay.addToken({ type: 'forward', token: 'late' })
    expect(world.relay.tokens().map(({ token }) => token)).toEqual(['late'])
  })

  it('takes reservations with it, and is a new tenant when added again', async () => {
    const world = await autonomyWorld()
    const instance = uuid()
    const owner = await world.join('tenant', { instance })
    await ask(owner, 'mine')
    owner.transport.abort()
    await settle()
    await world.relay.removeToken('tenant')
    await world.relay.addToken({ type: 'reverse', token: 'tenant', allowManageConnector: true })
    const back = await world.join('tenant', { instance })
    expect(connectorTokens(world)).toEqual([])
    expect(await ask(back, 'mine')).toBe('ok mine')
    for (let waited = 0; waited < INSTANCE_RESERVATION_MS; waited += 10_000) {
      back.transport.pong()
      await world.clock.advanceAsync(10_000)
    }
    expect(connectorTokens(world)).toEqual(['mine'])
  })
})

describe('secrecy', () => {
  it('no instance UUID or token appears in a log or with others', async () => {
    const world = await autonomyWorld()
    const instance = uuid()
    const owner = await world.join('tenant', { instance })
    const other = await world.join('tenant', { instance: uuid() })
    await ask(owner, 'private-name')
    await ask(other, 'private-name')
    await ask(owner, 'private-name', REMOVE)
    const secret = Buffer.from(instance).toString('hex').slice(0, 8)
    expect(world.logText).not.toContain('private-name')
    expect(world.logText).not.toContain(secret)
    expect(other.raw.map(toHex).join(' ')).not.toContain(secret)
  })
})
