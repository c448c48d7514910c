import { describe, expect, it } from 'vitest'
import { type Admitted, connectLink, type LinkCredentials } from '../../src/client/connect-link.js'
import { LinkSocksError } from '../../src/errors.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { AUTH_TIMEOUT_MS } from '../../src/protocol/limits.js'
import { encodeAuthResponse, encodeLog, encodePartners } from '../../src/protocol/messages.js'
import { channelMoves } from '../protocol/channel-moves.js'
import { countListeners } from '../support/count-listeners.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { hex, toHex } from '../support/test-peer.js'
import { type ScriptedLink, ScriptedServer } from './fixture.js'

const INSTANCE = hex('65c9bb62d1894ebca9e7cb2d50827bb2')
const HASH = '80b3ad2d438bfafa1ea690c5a59f54548dcc76ad6a839c6704ac1d9d565d9c80'
const ANONYMOUS_HASH = '2f183a4e64493af3f377f745eda502363cd3e7ef6e4d266d444758de0a85fcc8'

interface Started {
  readonly server: ScriptedServer
  readonly clock: ManualClock
  readonly result: Promise<Admitted>
}

function begin(changes: Partial<LinkCredentials> = {}, signal?: AbortSignal, server = new ScriptedServer()): Started {
  const clock = new ManualClock()
  const credentials = {
    url: 'ws://relay.test',
    token: 'tok1',
    reverse: false,
    instance: INSTANCE,
    authInBand: false,
    resumable: false,
  }
  const surroundings = { openTransport: server.openTransport, clock, crypto: nodeCrypto }
  const result = connectLink({ ...credentials, ...changes }, surroundings, { signal })
  result.catch(() => {})
  return { server, clock, result }
}

async function asked(changes: Partial<LinkCredentials>): Promise<ScriptedLink> {
  const { server } = begin(changes)
  await settle()
  return server.link()
}

async function answeredWith(...messages: readonly Uint8Array[]): Promise<Admitted> {
  const { server, result } = begin()
  await settle()
  server.link().send(...messages)
  return result
}

function refusedWith(error: string, token?: string): Promise<Admitted> {
  const { server, result } = begin(token === undefined ? {} : { token })
  void settle().then(() => server.link().send(encodeAuthResponse({ success: false, error })))
  return result
}

describe('connectLink, URL form', () => {
  it('puts the hash of the token, its role, its instance and ext=1 into the query, and sends nothing', async () => {
    const link = await asked({})
    const query = `ext=1&instance=65c9bb62-d189-4ebc-a9e7-cb2d50827bb2&reverse=false&token=${HASH}`
    expect(link.url).toBe(`ws://relay.test/socket?${query}`)
    expect(link.messages).toEqual([])
    expect(link.secretInBand).toBe(false)
  })

  it('says that a provider is one', async () => {
    expect((await asked({ reverse: true })).url).toContain('&reverse=true&')
  })

  it('uses the reserved word without a token', async () => {
    expect((await asked({ token: undefined })).url).toContain(`token=${ANONYMOUS_HASH}`)
  })
})

describe('connectLink, in-band form', () => {
  const auth = (token: string, reverse: string) => `0101${token}${reverse}${toHex(INSTANCE)}4c58`

  it.each([
    ['a path of its own', { url: 'wss://relay.test/tunnel' }, 'wss://relay.test/tunnel'],
    ['authInBand', { authInBand: true }, 'ws://relay.test/socket'],
  ])('sends Auth with an empty trailer first, because of %s', async (_name, changes, url) => {
    const link = await asked(changes)
    expect(link.url).toBe(url)
    expect(link.messages.map(toHex)).toEqual([auth('04746f6b31', '00')])
    expect(link.secretInBand).toBe(true)
  })

  it('sends the role and the reserved word', async () => {
    const link = await asked({ authInBand: true, reverse: true, token: undefined })
    expect(link.messages.map(toHex)).toEqual([`${auth('09616e6f6e796d6f7573', '01')}1300`])
  })
})

describe('connectLink, the answer', () => {
  it.each([
    ['010201', false],
    ['010201004c58', false],
    ['010201004c581100', true],
    ['010201004c58ee0211221100', true],
  ])('%s admits; the server keeps order: %s', async (answer, keepsOrder) => {
    expect(await answeredWith(hex(answer))).toMatchObject({ keepsOrder, early: [], assignedToken: undefined })
  })

  it('tolerates Partners, Log and unknown messages before it, and keeps them', async () => {
    const log = encodeLog({ level: 'info', message: 'hi' })
    const link = await answeredWith(encodePartners({ count: 3 }), hex('01ff00'), log, hex('010201'))
    expect(link.early).toMatchObject([{ count: 3 }, { message: 'hi' }])
  })

  it.each(['0e', '0f', '10', '11'])('tolerates type %s before it, whole, broken or cut short', async (name) => {
    const type = Number.parseInt(name, 16)
    const whole = channelMoves(INSTANCE)[type - 0x0e] ?? new Uint8Array()
    expect(whole[1]).toBe(type)
    const broken = Uint8Array.of(0x02, type, 0, 0, 0, 2, 0x7b, 0x7b)
    const tooLong = Uint8Array.of(0x02, type, 0xff, 0xff, 0xff, 0xff)
    const messages = [whole, broken, tooLong, Uint8Array.of(0x02, type)]
    const link = await answeredWith(...messages, encodePartners({ count: 3 }), hex('010201'))
    expect(link.early.map((message) => message.type)).toEqual([type, 10])
  })

  it('counts broken messages to the 8', async () => {
    const broken = hex('0211')
    expect(await answeredWith(...new Array<Uint8Array>(7).fill(broken), hex('010201'))).toMatchObject({ early: [] })
    const late = answeredWith(...new Array<Uint8Array>(8).fill(broken), hex('010201'))
    await expect(late).rejects.toMatchObject({ code: 'ERR_MESSAGE_INVALID' })
  })

  it('gives up after 8 messages that are no answer', async () => {
    const { server, result } = begin()
    await settle()
    server.link().send(...Array.from({ length: 8 }, () => encodePartners({ count: 1 })))
    await expect(result).rejects.toMatchObject({ code: 'ERR_MESSAGE_INVALID' })
    await settle()
    expect(server.link().closed).toMatchObject({ code: 1006 })
  })

  it.each(['ff', '0202', '01', '0102', ''])('ends with a typed error after the message "%s"', async (bytes) => {
    await expect(answeredWith(hex(bytes))).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_MESSAGE_/) })
  })

  it('hands the transport on with what came in the same burst', async () => {
    const next = encodePartners({ count: 2 })
    const { transport } = await answeredWith(hex('010201'), next)
    const got: string[] = []
    const message = (data: Uint8Array): unknown => got.push(toHex(data))
    transport.start({ message, activity: () => {}, drain: () => {}, close: () => {} })
    await settle()
    expect(got).toEqual([toHex(next)])
  })

  it('names the token that the server assigned, and ignores an echo', async () => {
    const { server, result } = begin({ token: undefined })
    await settle()
    server.link().send(encodeAuthResponse({ success: true, token: 'given' }))
    expect((await result).assignedToken).toBe('given')
    expect(await answeredWith(encodeAuthResponse({ success: true, token: 'given' }))).toMatchObject({
      token: 'tok1',
      assignedToken: 'given',
    })
    expect((await answeredWith(encodeAuthResponse({ success: true, token: 'tok1' }))).assignedToken).toBeUndefined()
  })
})

describe('connectLink, refused', () => {
  it('tells why and drops the connection', async () => {
    const { server, result } = begin()
    await settle()
    server.link().send(hex('0102000d696e76616c696420746f6b656e'))
    await expect(result).rejects.toMatchObject({
      code: 'ERR_AUTH_REJECTED',
      message: 'the server refused the token: invalid token',
    })
    await settle()
    expect(server.link().closed).toBeDefined()
  })

  it.each([
    ['the URL', `no: https://relay.test/socket?token=${HASH}&reverse=true`],
    ['the hash alone', `unknown ${HASH.toUpperCase()}`],
    ['the instance', 'bad instance 65c9bb62-d189-4ebc-a9e7-cb2d50827bb2'],
  ])('hides %s in what the server says', async (_what, text) => {
    const error = await refusedWith(text).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_AUTH_REJECTED' })
    expect(String(error)).not.toMatch(/[\da-f]{32}|65c9bb62|token=|tok1/i)
    expect(String(error)).toMatch(/\[(url|hidden)\]/)
  })

  it('hides a token, unless it is so short that hiding it in ordinary words would tell it', async () => {
    await expect(refusedWith("no token 'long enough' here", 'long enough')).rejects.toThrow("no token '[hidden]' here")
    await expect(refusedWith('invalid token', 'tok')).rejects.toThrow('invalid token')
  })

  it('escapes what could steer a terminal, and says so when there is no reason', async () => {
    await expect(refusedWith('\u001b[2Jboo\u202e')).rejects.toThrow('\\u{1b}[2Jboo\\u{202e}')
    await expect(refusedWith('')).rejects.toThrow('no reason given')
  })
})

describe('connectLink, waiting', () => {
  it('gives up when no answer came in time', async () => {
    const { server, clock, result } = begin()
    await clock.advanceAsync(AUTH_TIMEOUT_MS - 1)
    expect(clock.pending).toBe(1)
    await clock.advanceAsync(1)
    await expect(result).rejects.toMatchObject({ code: 'ERR_AUTH_TIMEOUT' })
    await settle()
    expect(server.link().closed).toBeDefined()
    expect(clock.pending).toBe(0)
  })

  it('ends when the server closes the link', async () => {
    const { server, clock, result } = begin()
    await settle()
    server.link().transport.close(1008, 'go away')
    await expect(result).rejects.toMatchObject({ code: 'ERR_LINK_LOST' })
    expect(clock.pending).toBe(0)
  })

  it('passes the reason on when it is cancelled, and leaves nothing behind', async () => {
    const cancel = new AbortController()
    const listeners = countListeners(cancel.signal)
    const { server, clock, result } = begin({}, cancel.signal)
    await settle()
    cancel.abort(new LinkSocksError('ERR_SHUTTING_DOWN', 'enough'))
    await expect(result).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    await settle()
    expect(server.link().closed).toBeDefined()
    expect([listeners(), clock.pending]).toEqual([0, 0])
  })

  it('is cancelled while it connects', async () => {
    const server = new ScriptedServer()
    server.stalls = true
    const cancel = new AbortController()
    const { result } = begin({}, cancel.signal, server)
    await settle()
    cancel.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await expect(result).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })

  it('drops the connection that came although it was cancelled before', async () => {
    const { server, result } = begin({}, AbortSignal.abort())
    await expect(result).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    await settle()
    expect(server.link().closed).toBeDefined()
  })

  it('removes its listener once admitted', async () => {
    const cancel = new AbortController()
    const listeners = countListeners(cancel.signal)
    const { server, result } = begin({}, cancel.signal)
    await settle()
    await server.link().admit()
    await result
    expect(listeners()).toBe(0)
  })

  it('rejects a URL that is none before it connects', async () => {
    const { server, result } = begin({ url: 'ftp://relay.test' })
    await expect(result).rejects.toMatchObject({ code: 'ERR_URL' })
    expect(server.attempts).toBe(0)
  })
})
