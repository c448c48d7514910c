import { describe, expect, it } from 'vitest'
import { AUTH_TIMEOUT_MS } from '../../../src/protocol/limits.js'
import {
  encodeAuth,
  encodeAuthResponse,
  encodeConnect,
  encodeConnector,
  MessageType,
} from '../../../src/protocol/messages.js'
import { settle } from '../../support/manual-clock.js'
import { hex, toHex } from '../../support/test-peer.js'
import { agentWorld, type Peer, uuid, World } from '../world.js'

const OK = '010201'
const OK_WITH_TRAILER = '010201004c581100'
const INVALID = '0102000d696e76616c696420746f6b656e'
const INVALID_FORMAT = '01020014696e76616c696420746f6b656e20666f726d6174'

async function forwardWorld(): Promise<World> {
  const world = new World()
  await world.relay.addToken({ type: 'forward', token: 'tok1' })
  return world
}

const clients = (world: World): number[] => world.relay.tokens().map((token) => token.clientsCount)

async function expectRejected(world: World, peer: Peer, answer: string): Promise<void> {
  await settle()
  expect(peer.raw.map(toHex)).toEqual([answer])
  expect(peer.closed).toBeDefined()
  expect(clients(world).every((count) => count === 0)).toBe(true)
}

describe('URL form', () => {
  it('admits the lowercase hash of a token at once, the answer being the first message', async () => {
    const world = await forwardWorld()
    const peer = await world.join('tok1', { reverse: false })
    expect(peer.raw.map(toHex)).toEqual([OK])
    expect(clients(world)).toEqual([1])
    expect(world.admitted).toBe(1)
  })

  it('knows the hash that deployed clients send', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt(
      'instance=65c9bb62-d189-4ebc-a9e7-cb2d50827bb2&reverse=false&token=80b3ad2d438bfafa1ea690c5a59f54548dcc76ad6a839c6704ac1d9d565d9c80',
    )
    expect(peer.raw.map(toHex)).toEqual([OK])
  })

  it.each([
    ['an upper-case hash', '80B3AD2D438BFAFA1EA690C5A59F54548DCC76AD6A839C6704AC1D9D565D9C80'],
    ['64 characters that are not hex', 'z'.repeat(64)],
    ['the hash of no token', '0'.repeat(64)],
  ])('rejects %s as an invalid token', async (_, token) => {
    const world = await forwardWorld()
    await expectRejected(world, await world.attempt({ token }), INVALID)
    expect(world.admitted).toBe(0)
  })

  it.each(['tok1', '0'.repeat(63), '0'.repeat(65)])('rejects %s for its length', async (token) => {
    const world = await forwardWorld()
    await expectRejected(world, await world.attempt({ token }), INVALID_FORMAT)
  })

  it('never lifts the size limit of a peer that it rejects, and keeps nothing of what that peer goes on to send', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt({ token: 'f'.repeat(64) })
    await peer.send(...Array.from({ length: 200 }, () => new Uint8Array(1024)))
    expect(world.admitted).toBe(0)
    expect(peer.raw).toHaveLength(1)
  })

  it.each([
    ['tenant', 'true', OK],
    ['tenant', '1', OK],
    ['tenant', undefined, OK],
    ['tenant', 'false', INVALID],
    ['tenant', 'yes', INVALID],
    ['member', 'false', OK],
    ['member', undefined, OK],
    ['member', 'true', INVALID],
  ])('judges the role: token %s with reverse=%s', async (token, reverse, answer) => {
    const world = await agentWorld()
    const query = world.query(token)
    if (reverse !== undefined) query.set('reverse', reverse)
    const peer = await world.attempt(query)
    expect(toHex(peer.raw[0] ?? new Uint8Array())).toBe(answer)
  })

  it('offers extensions only to a client that asks', async () => {
    const world = await forwardWorld()
    const asking = await world.join('tok1', { extensions: true })
    const silent = await world.join('tok1')
    expect([asking, silent].map((peer) => toHex(peer.raw[0] ?? new Uint8Array()))).toEqual([OK_WITH_TRAILER, OK])
  })

  it('takes an empty token parameter for the in-band form', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt('token=&reverse=false')
    expect(peer.raw).toEqual([])
    await peer.send(encodeAuth({ token: 'tok1', reverse: false, instance: uuid() }))
    expect(peer.raw.map(toHex)).toEqual([OK])
  })
})

describe('in-band form', () => {
  it('admits the plain token and never its hash', async () => {
    const world = await forwardWorld()
    const plain = await world.join('tok1', { inBand: true })
    expect(plain.raw.map(toHex)).toEqual([OK])
    const hash = world.query('tok1').get('token') ?? ''
    const hashed = await world.join(hash, { inBand: true })
    expect(hashed.raw.map(toHex)).toEqual([INVALID])
  })

  it('takes the Auth message of a deployed provider', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tok1' })
    const peer = await world.attempt()
    await peer.send(hex('010104746f6b310175551400801746648e7113bfb97c5e53'))
    expect(toHex(peer.raw[0] ?? new Uint8Array())).toBe(OK)
    expect(clients(world)).toEqual([1])
  })

  it('answers a trailer behind Auth with a trailer', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt()
    await peer.send(encodeAuth({ token: 'tok1', reverse: false, instance: uuid(), trailer: {} }))
    expect(peer.raw.map(toHex)).toEqual([OK_WITH_TRAILER])
  })

  it.each([
    ['another message', encodeConnect({ protocol: 1, channelId: uuid(), target: { host: 'a', port: 1 } })],
    ['random bytes', Uint8Array.of(0xff, 0xfe, 0xfd)],
    ['an empty message', new Uint8Array()],
    ['a cut Auth', hex('010104746f')],
    ['an Auth followed by more than a kilobyte', new Uint8Array([...hex('010104746f6b3100'), ...new Uint8Array(2000)])],
  ])('rejects %s as first message', async (_, first) => {
    const world = await forwardWorld()
    const peer = await world.attempt()
    await peer.send(first)
    await expectRejected(world, peer, `01020014${toHex(new TextEncoder().encode('invalid auth message'))}`)
  })

  it.each(['wrong', 'anonymous', ''])('rejects the token "%s"', async (token) => {
    const world = await forwardWorld()
    await expectRejected(world, await world.join(token, { inBand: true }), INVALID)
  })

  it('rejects a wrong role', async () => {
    const world = await agentWorld()
    await expectRejected(world, await world.join('tenant', { inBand: true, reverse: false }), INVALID)
    await expectRejected(world, await world.join('member', { inBand: true, reverse: true }), INVALID)
  })

  it('closes a link whose Auth does not come in time, and leaves no timer', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt()
    await world.clock.advanceAsync(AUTH_TIMEOUT_MS - 1)
    expect(peer.closed).toBeUndefined()
    await world.clock.advanceAsync(1)
    expect(peer.closed).toEqual({ code: 1008 })
    expect(peer.raw).toEqual([])
    expect(world.clock.pending).toBe(0)
  })

  it('forgets a link that is lost before its Auth', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt()
    peer.transport.abort()
    await settle()
    expect(world.clock.pending).toBe(0)
    expect(clients(world)).toEqual([0])
  })

  it('keeps messages that came right behind Auth', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt()
    const auth = encodeAuth({ token: 'tok1', reverse: false, instance: uuid() })
    await peer.send(auth, encodeConnect({ protocol: 1, channelId: uuid(), target: { host: 'one.test', port: 80 } }))
    expect(world.dials.asked).toEqual([{ host: 'one.test', port: 80 }])
  })

  it('ignores Auth and AuthResponse after authentication', async () => {
    const world = await forwardWorld()
    const peer = await world.join('tok1')
    await peer.send(encodeAuth({ token: 'wrong', reverse: true, instance: uuid() }), hex('010201'), hex('0101'))
    expect(peer.raw).toHaveLength(1)
    expect(peer.closed).toBeUndefined()
  })

  it('does nothing that is asked for before authentication', async () => {
    const world = await forwardWorld()
    const peer = await world.attempt()
    const connect = encodeConnect({ protocol: 1, channelId: uuid(), target: { host: 'a', port: 1 } })
    await peer.send(connect, encodeConnector({ requestId: uuid(), token: 'mine', operation: 1 }), connect)
    expect(world.dials.asked).toEqual([])
    expect(peer.of(MessageType.ConnectResponse)).toEqual([])
    expect(peer.of(MessageType.ConnectorResponse)).toEqual([])
  })
})

describe('logs of admission', () => {
  it('carry no token, hash, instance or query', async () => {
    const world = await forwardWorld()
    const instance = uuid()
    await world.join('tok1', { instance })
    await world.join('not-a-token', { inBand: true, instance })
    await world.attempt({ token: 'e'.repeat(64) })
    const hash = world.query('tok1').get('token') ?? ''
    for (const secret of ['tok1', 'not-a-token', hash, 'eeee', Buffer.from(instance).toString('hex').slice(0, 8)]) {
      expect(world.logText).not.toContain(secret)
    }
  })

  it('are not flooded by strangers, who are counted from then on', async () => {
    const world = await forwardWorld()
    for (let count = 0; count < 200; count += 1) await world.attempt({ token: 'e'.repeat(64) })
    await world.clock.advanceAsync(3_000)
    expect(world.lines.filter(({ event }) => event === 'link.rejected')).toHaveLength(50)
    await world.clock.advanceAsync(10_000)
    await world.attempt({ token: 'e'.repeat(64) })
    await world.clock.advanceAsync(3_000)
    expect(world.lines).toContainEqual({ event: 'log.suppressed', fields: { lines: 150 } })
    await world.join('tok1')
    expect(world.lines.at(-1)?.event).toBe('link.admitted')
  })
})

describe('an address that fails again and again', () => {
  const TOO_MANY = toHex(encodeAuthResponse({ success: false, error: 'too many failed attempts, try again later' }))

  it('is answered later and later, then without a reason', async () => {
    const world = await forwardWorld()
    const guess = () => world.attempt({ token: 'e'.repeat(64) })
    for (let count = 0; count < 10; count += 1) expect((await guess()).raw.map(toHex)).toEqual([INVALID])
    const late = await guess()
    await settle()
    expect(late.raw).toEqual([])
    await world.clock.advanceAsync(250)
    expect(late.raw.map(toHex)).toEqual([INVALID])
    for (let count = 0; count < 50; count += 1) await guess()
    const refused = await guess()
    await world.clock.advanceAsync(3_000)
    expect(refused.raw.map(toHex)).toEqual([TOO_MANY])
  })

  it('is admitted at once with the right token', async () => {
    const world = await forwardWorld()
    for (let count = 0; count < 100; count += 1) await world.attempt({ token: 'e'.repeat(64) })
    expect((await world.join('tok1', { reverse: false })).raw.map(toHex)).toEqual([OK])
  })
})
