import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../../src/errors.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import { MessageType } from '../../../src/protocol/messages.js'
import type { TokenSpec } from '../../../src/relay/tokens/token-spec.js'
import { generateToken } from '../../../src/relay/tokens/token-text.js'
import { newToken, TokenTable } from '../../../src/relay/tokens/tokens.js'
import { IdleStream } from '../../exit/fakes.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { connectTcp, endingsOf, openChannel } from '../splice/channels.js'
import { agentWorld, uuid, World } from '../world.js'

async function failure(world: World, spec: TokenSpec): Promise<[ErrorCode, string]> {
  const error = await world.relay.addToken(spec).then(
    () => undefined,
    (thrown) => thrown,
  )
  return [error?.code, error?.message]
}

describe('adding tokens', () => {
  it('generates 32 base62 characters where none is given', async () => {
    const world = new World()
    const tokens = new Set<string>()
    for (let count = 0; count < 20; count += 1) tokens.add((await world.relay.addToken({ type: 'forward' })).token)
    expect(tokens.size).toBe(20)
    for (const token of tokens) expect(token).toMatch(/^[0-9A-Za-z]{32}$/)
  })

  it('answers the id under which the token is found', async () => {
    const world = new World()
    for (const type of ['forward', 'reverse'] as const) {
      const { id, token } = await world.relay.addToken({ type })
      expect(world.relay.tokenInfo(id)).toMatchObject({ id, type, token })
    }
  })

  it('uses every base62 character alike', () => {
    const counts = new Map<string, number>()
    for (let each = 0; each < 2_000; each += 1) {
      for (const character of generateToken(nodeCrypto)) counts.set(character, (counts.get(character) ?? 0) + 1)
    }
    expect(counts.size).toBe(62)
    const expected = (2_000 * 32) / 62
    for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(expected * 0.25)
  })

  it.each<[string, ErrorCode]>([
    ['', 'ERR_TOKEN_INVALID'],
    ['a\u0000b', 'ERR_TOKEN_INVALID'],
    ['a\u0085b', 'ERR_TOKEN_INVALID'],
    ['\ud800', 'ERR_TOKEN_INVALID'],
    ['x'.repeat(256), 'ERR_TOKEN_INVALID'],
    ['é'.repeat(128), 'ERR_TOKEN_INVALID'],
    ['anonymous', 'ERR_TOKEN_RESERVED'],
  ])('refuses %j', async (token, code) => {
    expect((await failure(new World(), { type: 'forward', token }))[0]).toBe(code)
  })

  it('takes 255 bytes of UTF-8', async () => {
    const world = new World()
    const token = `${'é'.repeat(127)}x`
    await world.relay.addToken({ type: 'forward', token })
    expect((await world.join(token, { inBand: true })).of(MessageType.AuthResponse)[0]?.success).toBe(true)
  })

  it('refuses a name that any token has', async () => {
    const world = await agentWorld()
    for (const token of ['tenant', 'member']) {
      expect(await failure(world, { type: 'forward', token })).toEqual(['ERR_TOKEN_EXISTS', 'token already exists'])
      expect((await failure(world, { type: 'reverse', token }))[0]).toBe('ERR_TOKEN_EXISTS')
      expect((await failure(world, { type: 'connector', token, reverseToken: 'tenant' }))[0]).toBe('ERR_TOKEN_EXISTS')
    }
  })

  it('refuses a connector token without, or for an autonomy, reverse token', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'forward', token: 'forward' })
    await world.relay.addToken({ type: 'reverse', token: 'autonomous', allowManageConnector: true })
    for (const reverseToken of ['nobody', 'forward', 'member']) {
      expect((await failure(world, { type: 'connector', reverseToken }))[0]).toBe('ERR_REVERSE_TOKEN_NOT_FOUND')
    }
    expect((await failure(world, { type: 'connector', reverseToken: 'autonomous' }))[0]).toBe('ERR_TOKEN_AUTONOMY')
  })

  it.each([
    { username: 'u' },
    { password: 'p' },
    { username: '', password: 'p' },
    { username: 'u', password: 'p'.repeat(256) },
    { port: 0 },
    { port: 65_536 },
    { port: 1.5 },
    { username: 'u', allowManageConnector: true },
    { rules: [{ ports: [443] }], allowManageConnector: true },
  ])('refuses a reverse token with %j, naming the field', async (fields) => {
    const [code, message] = await failure(new World(), { type: 'reverse', ...fields })
    expect(code).toBe('ERR_TOKEN_INVALID')
    expect(message).toMatch(/username|password|port|rules/)
  })

  it('gives one of two that are added at the same time with one name the refusal, and leaves no port behind', async () => {
    const world = new World()
    const results = await Promise.allSettled(
      [1, 2, 3].map(() => world.relay.addToken({ type: 'reverse', token: 'same' })),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(world.relay.tokens()).toHaveLength(1)
    expect(world.openPorts.size).toBe(0)
  })

  it('gives tokens that are added at the same time different ports, and a given port once', async () => {
    const world = new World()
    const added = await Promise.all([1, 2, 3].map(() => world.relay.addToken({ type: 'reverse' })))
    expect(added.map(({ port }) => port)).toEqual([10_000, 10_001, 10_002])
    const given = await Promise.allSettled([1, 2].map(() => world.relay.addToken({ type: 'reverse', port: 20_000 })))
    expect(given.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  it('is refused while the server shuts down, and opens nothing then', async () => {
    const world = new World({ socksNowait: true })
    const early = world.relay.addToken({ type: 'reverse' })
    const adding = world.relay.addToken({ type: 'reverse' })
    await early
    const closing = world.relay.close()
    await expect(adding).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    await closing
    await expect(world.relay.addToken({ type: 'forward' })).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    await settle()
    expect(world.openPorts.size).toBe(0)
  })
})

describe('status', () => {
  it('shows forward and reverse tokens in order, connector tokens with theirs, and no password', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'forward', token: 'forward' })
    await world.relay.addToken({ type: 'reverse', token: 'autonomous', allowManageConnector: true })
    await world.relay.addToken({ type: 'reverse', token: 'secured', port: 30_000, username: 'u', password: 'hidden' })
    const status = world.relay.tokens()
    expect(status).toEqual([
      {
        token: 'tenant',
        type: 'reverse',
        clientsCount: 0,
        connectorTokens: ['member'],
        port: 10_000,
        proxyProtocols: ['socks5', 'socks4', 'http'],
        listening: false,
      },
      { token: 'forward', type: 'forward', clientsCount: 0 },
      { token: 'autonomous', type: 'reverse', clientsCount: 0, connectorTokens: [] },
      {
        token: 'secured',
        type: 'reverse',
        clientsCount: 0,
        connectorTokens: [],
        port: 30_000,
        proxyProtocols: ['socks5', 'socks4', 'http'],
        listening: false,
      },
    ])
    expect(status[2]).not.toHaveProperty('port')
    expect(JSON.stringify(status)).not.toContain('hidden')
  })

  it('counts the living links of each token itself', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'forward', token: 'forward' })
    const peers = [await world.join('tenant'), await world.join('member'), await world.join('forward')]
    await world.join('forward')
    await world.attempt()
    const counts = (): number[] => world.relay.tokens().map(({ clientsCount }) => clientsCount)
    expect(counts()).toEqual([1, 2])
    for (const peer of peers) peer.transport.abort()
    await settle()
    expect(counts()).toEqual([0, 1])
  })
})

describe('removing tokens', () => {
  it('ends links, streams, dials and ports at once', async () => {
    const world = await agentWorld({ socksNowait: true })
    await world.relay.addToken({ type: 'forward', token: 'forward' })
    const client = await world.join('forward')
    await client.send(connectTcp(uuid()), connectTcp(uuid()))
    const stream = new IdleStream()
    world.dials.at(0).resolve(stream)
    await settle()
    await world.relay.removeToken('forward')
    await settle()
    expect(stream.aborted?.code).toBe('ERR_SHUTTING_DOWN')
    expect(world.dials.at(1).aborted).toBe(true)
    expect(client.closed).toBeDefined()
    expect(endingsOf(client)).toContain('the token was removed')
    expect(world.openPorts.size).toBe(1)
    await world.relay.removeToken('tenant')
    expect(world.openPorts.size).toBe(0)
    expect(world.relay.tokens()).toEqual([])
  })

  it('of a reverse token takes its connector tokens and their links along', async () => {
    const world = await agentWorld()
    const [provider, connector] = [await world.join('tenant'), await world.join('member')]
    await openChannel(connector, provider)
    await world.relay.removeToken('tenant')
    await settle()
    expect([provider.closed, connector.closed]).not.toContain(undefined)
    expect((await world.join('member')).of(MessageType.AuthResponse)[0]?.success).toBe(false)
    await expect(world.relay.removeToken('member')).rejects.toMatchObject({ code: 'ERR_TOKEN_NOT_FOUND' })
    expect(world.clock.pending).toBeLessThan(5)
  })

  it('of a connector token ends its links alone and tells the provider of each stream', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'connector', token: 'member2', reverseToken: 'tenant' })
    const [provider, one, two] = [await world.join('tenant'), await world.join('member'), await world.join('member2')]
    await openChannel(one, provider)
    await openChannel(two, provider)
    await world.relay.removeToken('member')
    await settle()
    expect([one.closed !== undefined, two.closed, provider.closed]).toEqual([true, undefined, undefined])
    expect(endingsOf(provider)).toEqual(['the token was removed'])
  })

  it('a second time, or of no token, is not found', async () => {
    const world = await agentWorld()
    await world.relay.removeToken('member')
    for (const token of ['member', '', 'nobody', 'anonymous']) {
      await expect(world.relay.removeToken(token)).rejects.toMatchObject({ code: 'ERR_TOKEN_NOT_FOUND' })
    }
  })

  it('admits nobody who was being admitted', async () => {
    const world = await agentWorld()
    const joining = world.join('tenant')
    void world.relay.removeToken('tenant')
    const peer = await joining
    await settle()
    expect(peer.closed).toBeDefined()
    expect(world.relay.tokens()).toEqual([])
  })

  it('leaves a later token of the same name and its links alone', async () => {
    const world = await agentWorld()
    const old = await world.join('tenant')
    old.far.hold()
    await world.relay.removeToken('tenant')
    await world.relay.addToken({ type: 'reverse', token: 'tenant' })
    const provider = await world.join('tenant')
    old.far.letGo()
    await world.clock.advanceAsync(10_000)
    expect(world.relay.tokens()).toMatchObject([{ token: 'tenant', clientsCount: 1, listening: true }])
    expect(provider.closed).toBeUndefined()
  })
})

describe('TokenTable', () => {
  it('finds by name and by lowercase hash, and removes only what it holds', () => {
    const table = new TokenTable(nodeCrypto)
    const first = { type: 'forward', ...newToken('tok1', 'api', new ManualClock(), nodeCrypto) } as const
    table.add(first)
    expect(table.find('tok1')).toBe(first)
    expect(table.at(table.keyOfHash('80b3ad2d438bfafa1ea690c5a59f54548dcc76ad6a839c6704ac1d9d565d9c80'))).toBe(first)
    expect(table.find('80b3ad2d438bfafa1ea690c5a59f54548dcc76ad6a839c6704ac1d9d565d9c80')).toBeUndefined()
    expect(() => table.add(first)).toThrow('token already exists')
    const second = { type: 'forward', ...newToken('tok1', 'api', new ManualClock(), nodeCrypto) } as const
    expect(table.remove(second)).toBe(false)
    expect(table.remove(first)).toBe(true)
    expect(table.remove(first)).toBe(false)
    expect([...table.all()]).toEqual([])
  })
})

describe('closing the relay', () => {
  it('ends every link and port, twice without harm, and admits nobody afterwards', async () => {
    const world = await agentWorld({ socksNowait: true })
    const peers = [await world.join('tenant'), await world.join('member')]
    const waiting = await world.attempt()
    await Promise.all([world.relay.close(), world.relay.close()])
    await settle()
    expect(peers.every(({ closed }) => closed !== undefined)).toBe(true)
    expect(world.openPorts.size).toBe(0)
    const late = await world.join('tenant')
    expect(late.closed).toBeDefined()
    waiting.transport.abort()
    await world.clock.advanceAsync(20_000)
    expect(world.clock.pending).toBe(0)
  })
})
