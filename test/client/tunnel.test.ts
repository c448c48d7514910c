import { describe, expect, it } from 'vitest'
import { LINK_WAIT_MS, MAX_WAITING_FOR_LINK } from '../../src/client/tunnel.js'
import { LinkSocksError } from '../../src/errors.js'
import { encodeAuthResponse, encodeLog, encodePartners } from '../../src/protocol/messages.js'
import { settle } from '../support/manual-clock.js'
import { TunnelStage, upTunnel } from './tunnel-fixture.js'

const refusal = encodeAuthResponse({ success: false, error: 'invalid token' })
const TARGET = { host: 'far.test', port: 80 }

describe('Tunnel.start()', () => {
  it('settles with the first link', async () => {
    const stage = await new TunnelStage().start()
    expect(stage.tunnel.links).toBe(0)
    await stage.server.link().admit()
    await stage.started
    expect(stage.tunnel.links).toBe(1)
    expect(stage.log.of('link.up')).toEqual([{ role: 'client' }])
  })

  it('throws what ended it, and `closed` tells the same', async () => {
    const stage = await new TunnelStage().start()
    stage.server.link().send(refusal)
    await expect(stage.started).rejects.toMatchObject({ code: 'ERR_AUTH_REJECTED' })
    expect(await stage.tunnel.closed).toMatchObject({ code: 'ERR_AUTH_REJECTED' })
    expect(stage.clock.pending).toBe(0)
  })

  it('goes on trying while the server can’t be reached', async () => {
    const stage = new TunnelStage()
    stage.server.failure = new LinkSocksError('ERR_CONNECT', 'refused')
    await stage.start()
    await stage.clock.advanceAsync(5_000)
    stage.server.failure = undefined
    stage.server.admits = {}
    await stage.clock.advanceAsync(30_000)
    await stage.started
    expect(stage.server.attempts).toBeGreaterThan(2)
  })

  it('without reconnect throws the first failure', async () => {
    const stage = new TunnelStage({ reconnect: false })
    stage.server.failure = new LinkSocksError('ERR_CONNECT', 'refused')
    await stage.start()
    await expect(stage.started).rejects.toMatchObject({ code: 'ERR_CONNECT' })
  })

  it('may be called twice', async () => {
    const stage = await upTunnel()
    await stage.tunnel.start()
    expect(stage.server.attempts).toBe(1)
  })

  it('does not begin before it is called: `closed` alone connects nothing', async () => {
    const stage = new TunnelStage()
    void stage.tunnel.closed
    await settle()
    expect(stage.server.attempts).toBe(0)
  })
})

describe('Tunnel.close()', () => {
  it('ends links and waits, and leaves no timer', async () => {
    const stage = await upTunnel()
    await stage.tunnel.close()
    await settle()
    expect(stage.server.link().closed).toMatchObject({ code: 1000 })
    expect([stage.tunnel.links, stage.clock.pending, await stage.tunnel.closed]).toEqual([0, 0, undefined])
  })

  it('is shared by all callers', async () => {
    const { tunnel } = await upTunnel()
    expect(tunnel.close()).toBe(tunnel.close())
    await tunnel.close()
  })

  it('ends a start that waits for its link', async () => {
    const stage = new TunnelStage()
    stage.server.stalls = true
    await stage.start()
    await stage.tunnel.close()
    await expect(stage.started).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(await stage.tunnel.closed).toBeUndefined()
  })

  it('ends a dial that waits for a link, started or not', async () => {
    const { tunnel, clock } = new TunnelStage()
    const dialled = tunnel.dial(TARGET)
    await tunnel.close()
    await expect(dialled).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    await expect(tunnel.associate()).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    expect([await tunnel.closed, clock.pending]).toEqual([undefined, 0])
  })

  it('comes before start()', async () => {
    const stage = new TunnelStage()
    await stage.tunnel.close()
    await expect(stage.tunnel.start()).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(stage.server.attempts).toBe(0)
  })

  it('ends open channels on both sides', async () => {
    const stage = await upTunnel()
    const dialled = stage.tunnel.dial(TARGET)
    await settle()
    await stage.tunnel.close()
    await expect(dialled).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) })
    await settle()
    expect(stage.server.link().received(6)).toHaveLength(1)
  })
})

describe('Tunnel.dial()', () => {
  it('waits 10 s for a link', async () => {
    const stage = new TunnelStage()
    const dialled = stage.tunnel.dial(TARGET).catch((error) => error)
    await stage.clock.advanceAsync(LINK_WAIT_MS - 1)
    expect(stage.clock.pending).toBe(1)
    await stage.clock.advanceAsync(1)
    expect(await dialled).toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE', message: 'no link to the server' })
    expect(stage.clock.pending).toBe(0)
  })

  it('lets 4,096 requests wait for a link and no more', async () => {
    const stage = new TunnelStage()
    const waiting = Array.from({ length: MAX_WAITING_FOR_LINK }, () => stage.tunnel.dial(TARGET).catch(() => 'ended'))
    await expect(stage.tunnel.associate()).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: 'too many requests wait for the link to the server',
    })
    expect(stage.clock.pending).toBe(MAX_WAITING_FOR_LINK)
    await stage.tunnel.close()
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['ended']))
    expect(stage.clock.pending).toBe(0)
  })
})

describe('Tunnel, a lost link', () => {
  it('comes back at once as the same instance', async () => {
    const stage = await upTunnel()
    stage.server.link().transport.cut()
    await settle()
    expect(stage.tunnel.links).toBe(0)
    await stage.clock.advanceAsync(0)
    expect(stage.tunnel.links).toBe(1)
    expect(stage.server.link(1).url).toBe(stage.server.link(0).url)
    expect(stage.log.of('link.down')).toMatchObject([{ code: 'ERR_LINK_LOST' }])
  })

  it('is kept from being lost by a ping and an unsolicited pong after 1 s and then every 20 s', async () => {
    const stage = await upTunnel()
    await stage.clock.advanceAsync(1_000)
    const before = stage.server.link().frames
    await stage.clock.advanceAsync(19_999)
    expect(stage.server.link().frames).toBe(before)
    await stage.clock.advanceAsync(1)
    expect(stage.server.link().frames).toBe(before + 2)
    await stage.clock.advanceAsync(600_000)
    expect([stage.tunnel.links, stage.server.attempts]).toEqual([1, 1])
    await stage.tunnel.close()
  })

  it('is noticed after 45 s of silence', async () => {
    const stage = await upTunnel()
    stage.server.link().transport.pause()
    await stage.clock.advanceAsync(46_000)
    expect(stage.log.of('link.down')).toMatchObject([{ code: 'ERR_LINK_TIMEOUT' }])
  })

  it('without reconnect ends the client', async () => {
    const stage = await upTunnel({ reconnect: false, threads: 2 })
    stage.server.link(0).transport.cut()
    expect(await stage.tunnel.closed).toMatchObject({ code: 'ERR_LINK_LOST' })
    await settle()
    expect(stage.server.link(1).closed).toBeDefined()
    await expect(stage.tunnel.dial(TARGET)).rejects.toMatchObject({ code: 'ERR_LINK_LOST' })
    expect(stage.clock.pending).toBe(0)
  })

  it('is followed by another try soon when the token is refused then', async () => {
    const stage = await upTunnel()
    stage.server.admits = undefined
    stage.server.link().transport.cut()
    await stage.clock.advanceAsync(0)
    stage.server.link(1).send(refusal)
    await stage.clock.advanceAsync(500)
    expect(stage.server.attempts).toBe(3)
    await stage.tunnel.close()
  })
})

describe('Tunnel, several links', () => {
  it('share one instance and take turns', async () => {
    const stage = await upTunnel({ threads: 3 })
    const urls = new Set(stage.server.links.map(({ url }) => url))
    expect([stage.server.links.length, urls.size, stage.tunnel.links]).toEqual([3, 1, 3])
    for (let dials = 0; dials < 6; dials += 1) stage.tunnel.dial(TARGET).catch(() => {})
    await settle()
    expect(stage.server.links.map((link) => link.received(3).length)).toEqual([2, 2, 2])
    expect(stage.log.of('link.up').map(({ link }) => link)).toEqual([1, 2, 3])
    await stage.tunnel.close()
  })

  it('are one client: a refusal of the second is not final once the first was admitted', async () => {
    const stage = await new TunnelStage({ threads: 2 }).start()
    await stage.server.link(0).admit()
    stage.server.link(1).send(refusal)
    await stage.started
    await settle()
    expect(stage.tunnel.links).toBe(1)
    stage.server.admits = {}
    await stage.clock.advanceAsync(30_000)
    expect(stage.tunnel.links).toBe(2)
  })

  it('use what is left when one is lost', async () => {
    const stage = await upTunnel({ threads: 2 })
    stage.server.failure = new LinkSocksError('ERR_CONNECT', 'refused')
    stage.server.link(0).transport.cut()
    await stage.clock.advanceAsync(0)
    for (let dials = 0; dials < 3; dials += 1) stage.tunnel.dial(TARGET).catch(() => {})
    await settle()
    expect(stage.server.link(1).received(3)).toHaveLength(3)
    await stage.tunnel.close()
  })
})

describe('Tunnel, what the server tells', () => {
  it('shows Log and Partners, also those before the answer', async () => {
    const stage = await new TunnelStage().start()
    const link = stage.server.link()
    link.send(encodePartners({ count: 1 }))
    await link.admit()
    link.send(encodeLog({ level: 'info', message: 'hello' }), encodePartners({ count: 2 }))
    await settle()
    expect(stage.log.of('partners')).toEqual([{ count: 1 }, { count: 2 }])
    expect(stage.log.of('remote.log')).toEqual([{ remote: 'hello' }])
  })

  it('tells an assigned token once, for its owner to pass on', async () => {
    const stage = await new TunnelStage({ token: undefined, reverse: true }).start()
    stage.server.link().send(encodeAuthResponse({ success: true, token: 'given' }))
    await stage.started
    stage.server.link().transport.cut()
    await stage.clock.advanceAsync(0)
    stage.server.link(1).send(encodeAuthResponse({ success: true, token: 'given' }))
    await settle()
    expect(stage.log.of('token.assigned')).toEqual([{ token: 'given' }])
  })

  it('never puts token, hash or instance into the log', async () => {
    const stage = await upTunnel({ trace: true, authInBand: true })
    stage.server.link().transport.cut()
    await stage.clock.advanceAsync(0)
    const [auth] = stage.server.link(0).received(1)
    const instance = Array.from(auth?.instance ?? [], (byte) => byte.toString(16).padStart(2, '0')).join('')
    expect(instance).toHaveLength(32)
    expect(stage.log.lines.length).toBeGreaterThan(3)
    expect(stage.log.text.replaceAll('-', '')).not.toMatch(new RegExp(`secrettoken|[0-9a-f]{64}|${instance}`))
  })
})
