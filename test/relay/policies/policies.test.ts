import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { Rep } from '../../../src/protocol/rep.js'
import { HOURS_LOOK_MS } from '../../../src/relay/tokens/token-policies.js'
import { settle } from '../../support/manual-clock.js'
import { MODES } from '../observe/stream-scene.js'
import { PolicyScene } from './policy-scene.js'

const allowOnly = (...hosts: string[]): TokenPolicy => ({ egress: [{ action: 'allow', hosts }] })
const deny = (...hosts: string[]): TokenPolicy => ({ egress: [{ action: 'deny', hosts }] })

const MODES_AND_PROVIDERS = MODES.flatMap((mode) =>
  (mode === 'forward' ? (['old'] as const) : (['old', 'new'] as const)).map((provider) => ({ mode, provider })),
)

describe.each(MODES_AND_PROVIDERS)('a policy in $mode mode ($provider provider)', ({ mode, provider }) => {
  it('refuses names and addresses with REP 02, and nothing is dialled or looked up', async () => {
    const scene = await PolicyScene.begin(mode, deny('*.corp.example', '192.0.2.0/24'), { provider })
    for (const host of ['git.corp.example', '192.0.2.9', '::ffff:192.0.2.9', '64:ff9b::192.0.2.9']) {
      expect(await scene.rep(host)).toBe(Rep.NotAllowed)
    }
    expect([scene.network.connected, scene.network.lookups]).toEqual([[], []])
    expect(await scene.rep('203.0.113.1')).toBe(Rep.Succeeded)
    expect(scene.refused).toEqual({ egress: 4 })
  })

  it('says by which rule, in the log, the events and to who asked', async () => {
    const scene = await PolicyScene.begin(
      mode,
      {
        egress: [{ action: 'allow' }, { action: 'deny', hosts: ['a.example'] }],
      },
      { provider },
    )
    expect(await scene.rep('203.0.113.1')).toBe(Rep.Succeeded)
    await scene.set({
      egress: [
        { action: 'deny', ports: [22] },
        { action: 'deny', hosts: ['a.example'] },
      ],
    })
    expect(await scene.refusal('a.example')).toContain('denied by rule 2 of the policy of the token')
    const told = { reason: 'egress', rule: 2, subject: 'a.example:443', count: 1 }
    expect(scene.events).toEqual([{ type: 'policy.refused', tokenId: scene.subject, ...told }])
    const lines = scene.world.lines.filter(({ event }) => event === 'policy.refused')
    expect(lines.map(({ fields }) => fields)).toEqual([{ token: scene.subject, ...told }])
  })

  it('limits how many run at a time, and takes more when one has ended', async () => {
    const scene = await PolicyScene.begin(mode, { maxStreams: 2 }, { provider })
    const [first] = [await scene.open('203.0.113.1'), await scene.open('203.0.113.2')]
    expect(await scene.refusal('203.0.113.3')).toContain('the token may have 2 connections at a time')
    first?.end()
    scene.network.far[0]?.end()
    await settle()
    expect(await scene.rep('203.0.113.3')).toBe(Rep.Succeeded)
    expect(await scene.rep('203.0.113.4')).toBe(Rep.NotAllowed)
    expect(scene.refused).toEqual({ streams: 2 })
  })

  it('counts those that began before the limit was set, and lets them go on', async () => {
    const scene = await PolicyScene.begin(mode, undefined, { provider })
    const stream = await scene.open('203.0.113.1')
    await scene.set({ maxStreams: 1 })
    expect(stream.closed).toBe(false)
    expect(await scene.rep('203.0.113.2')).toBe(Rep.NotAllowed)
  })

  it('counts associations as well', async () => {
    const scene = await PolicyScene.begin(mode, { maxStreams: 1 }, { provider })
    await scene.dialer.associate()
    expect(await scene.rep('203.0.113.2')).toBe(Rep.NotAllowed)
    await expect(scene.dialer.associate()).rejects.toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
  })

  it('limits how many are asked for in a minute', async () => {
    const scene = await PolicyScene.begin(mode, { connectsPerMinute: 3 }, { provider })
    for (const last of [1, 2, 3]) expect(await scene.rep(`203.0.113.${last}`)).toBe(Rep.Succeeded)
    await scene.clock.advanceAsync(59_000)
    expect(await scene.refusal('203.0.113.4')).toContain('the token may ask for 3 connections a minute')
    await scene.clock.advanceAsync(10_000)
    expect(await scene.rep('203.0.113.4')).toBe(Rep.Succeeded)
    expect(scene.refused).toEqual({ connects: 1 })
  })

  it('refuses streams out of hours, says from when on, and ends what runs when they are over', async () => {
    // the clock begins on Thursday, 2026-01-01, at midnight
    const scene = await PolicyScene.begin(mode, { hours: [{ from: '00:00', to: '00:10' }] }, { provider })
    const stream = await scene.open('203.0.113.1')
    await scene.clock.advanceAsync(599_999)
    expect(stream.closed).toBe(false)
    await scene.clock.advanceAsync(HOURS_LOOK_MS + 1)
    expect([stream.closed, stream.error !== undefined]).toEqual([true, true])
    expect(await scene.refusal('203.0.113.1')).toContain('but from 2026-01-02 00:00 UTC on')
    if (scene.asker !== undefined) expect(scene.asker.lost).toEqual([])
    await scene.clock.advanceAsync(24 * 3_600_000 - 600_000)
    expect(await scene.rep('203.0.113.1')).toBe(Rep.Succeeded)
  })

  it('judges again what runs when it changes', async () => {
    const scene = await PolicyScene.begin(mode, undefined, { provider })
    const [denied, allowed] = [await scene.open('192.0.2.1'), await scene.open('203.0.113.1')]
    await scene.set(deny('192.0.2.0/24'))
    expect([denied.closed, allowed.closed]).toEqual([true, false])
    expect(scene.refused).toEqual({ egress: 1 })
  })

  it('judges every datagram, those of an association that began allowed too', async () => {
    const scene = await PolicyScene.begin(
      mode,
      { egress: [{ action: 'deny', ports: [53], protocol: 'udp' }] },
      { provider },
    )
    const socket = await scene.dialer.associate()
    const text = new TextEncoder()
    socket.start({ datagram: () => {}, close: () => {} })
    for (const [port, word] of [
      [443, 'one'],
      [53, 'two'],
      [443, 'three'],
    ] as const) {
      socket.send(text.encode(word), { host: '203.0.113.1', port })
    }
    await settle()
    expect(scene.network.udp.socket(0).texts).toEqual(['one>203.0.113.1:443', 'three>203.0.113.1:443'])
    await scene.set(allowOnly('192.0.2.1'))
    socket.send(text.encode('four'), { host: '203.0.113.1', port: 443 })
    socket.send(text.encode('five'), { host: '192.0.2.1', port: 443 })
    await settle()
    expect(scene.network.udp.socket(0).texts.slice(2)).toEqual(['five>192.0.2.1:443'])
  })

  it('sets no limit any more when it is cleared', async () => {
    const scene = await PolicyScene.begin(mode, { maxStreams: 0, ...allowOnly('192.0.2.1') }, { provider })
    expect(await scene.rep('203.0.113.1')).toBe(Rep.NotAllowed)
    await scene.set(null)
    expect(await scene.rep('203.0.113.1')).toBe(Rep.Succeeded)
  })

  it('is told of once a second at most, with how often', async () => {
    const scene = await PolicyScene.begin(mode, deny('192.0.2.1'), { provider })
    for (let count = 0; count < 5; count += 1) await scene.rep('192.0.2.1')
    expect(scene.events.map(({ count }) => count)).toEqual([1])
    await scene.clock.advanceAsync(1_000)
    expect(scene.events.map(({ count }) => count)).toEqual([1, 4])
    await scene.clock.advanceAsync(2_000)
    await scene.rep('192.0.2.1')
    expect(scene.events.map(({ count }) => count)).toEqual([1, 4, 1])
    expect(scene.refused).toEqual({ egress: 6 })
  })
})

describe('a policy in forward mode, where the server looks names up', () => {
  it('judges each address of a name, and dials one that is allowed', async () => {
    const scene = await PolicyScene.begin('forward', deny('@private'))
    scene.network.names.set('mixed.example', ['10.0.0.1', '203.0.113.7']).set('inside.example', ['10.0.0.1'])
    expect(await scene.rep('mixed.example')).toBe(Rep.Succeeded)
    expect(scene.network.connected).toEqual([{ host: '203.0.113.7', port: 443 }])
    expect(await scene.refusal('inside.example')).toContain('denied by rule 1')
  })

  it('lets no name through that is allowed, and leads to an address that is denied', async () => {
    const scene = await PolicyScene.begin('forward', {
      egress: [
        { action: 'allow', hosts: ['*.example'] },
        { action: 'deny', hosts: ['@loopback'] },
      ],
    })
    scene.network.names.set('rebound.example', ['127.0.0.1'])
    expect(await scene.rep('rebound.example')).toBe(Rep.NotAllowed)
    expect(scene.network.connected).toEqual([])
  })

  it('judges what runs by the address it was connected to', async () => {
    const scene = await PolicyScene.begin('forward')
    scene.network.names.set('a.example', ['192.0.2.1']).set('b.example', ['203.0.113.1'])
    const [a, b] = [await scene.open('a.example'), await scene.open('b.example')]
    await scene.set(deny('192.0.2.0/24'))
    expect([a.closed, b.closed]).toEqual([true, false])
  })

  it('judges datagrams by name and address, the one remembered for another name too', async () => {
    const scene = await PolicyScene.begin('forward', deny('bad.example', '10.0.0.0/8'))
    scene.network.names
      .set('good.example', ['203.0.113.1'])
      .set('bad.example', ['203.0.113.1'])
      .set('in.example', ['10.0.0.1'])
    const socket = await scene.dialer.associate()
    socket.start({ datagram: () => {}, close: () => {} })
    for (const host of ['good.example', 'bad.example', 'in.example', 'good.example']) {
      socket.send(new TextEncoder().encode(host), { host, port: 9 })
      await settle()
    }
    const sent = 'good.example>203.0.113.1:9'
    expect(scene.network.udp.socket(0).texts).toEqual([sent, sent])
  })
})

describe.each(['reverse', 'agent'] as const)('a policy in %s mode, where a provider looks names up', (mode) => {
  it('lets pass what names alone decide, and refuses what depends on their addresses', async () => {
    const scene = await PolicyScene.begin(mode, {
      egress: [
        { action: 'deny', hosts: ['*.corp.example'] },
        { action: 'deny', hosts: ['@private'], ports: [22] },
      ],
    })
    scene.network.names.set('a.example', ['203.0.113.1'])
    expect(await scene.rep('a.example', 443)).toBe(Rep.Succeeded)
    expect(await scene.refusal('a.example', 22)).toContain('the provider that looks them up does not')
    expect(await scene.rep('203.0.113.1', 22)).toBe(Rep.Succeeded)
    expect(scene.network.connected).toHaveLength(2)
    expect(scene.refused).toEqual({ depends: 1 })
  })

  it('ends what runs by a name where it depends on the addresses from now on', async () => {
    const scene = await PolicyScene.begin(mode)
    scene.network.names.set('a.example', ['203.0.113.1'])
    const [named, addressed] = [await scene.open('a.example'), await scene.open('203.0.113.1')]
    await scene.set(deny('@private'))
    expect([named.closed, addressed.closed]).toEqual([true, false])
  })
})

describe('the policy of a reverse token', () => {
  it('holds for its connector tokens as well: both must allow', async () => {
    const scene = await PolicyScene.begin('agent', deny('192.0.2.1'), { reversePolicy: deny('192.0.2.2') })
    const reps = []
    for (const last of [1, 2, 3]) reps.push(await scene.rep(`192.0.2.${last}`))
    expect(reps).toEqual([Rep.NotAllowed, Rep.NotAllowed, Rep.Succeeded])
    expect(scene.events.map(({ tokenId }) => tokenId)).toEqual([scene.subject, scene.world.relay.tokenId('tenant')])
  })

  it('counts the streams of all of them together with those of its port', async () => {
    const scene = await PolicyScene.begin('agent', undefined, { reversePolicy: { maxStreams: 2 } })
    const port = scene.world.openPorts.get(10_000)?.dialer
    await scene.open('203.0.113.1')
    await port?.dial({ host: '203.0.113.2', port: 1 })
    expect(await scene.rep('203.0.113.3')).toBe(Rep.NotAllowed)
    await expect(port?.dial({ host: '203.0.113.4', port: 1 })).rejects.toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
  })

  it('counts what waits for a provider', async () => {
    const scene = await PolicyScene.begin('reverse', { maxStreams: 1 })
    const { openPorts } = scene.world
    const port = openPorts.get(10_000)?.dialer
    for (const { id, role } of scene.world.relay.clients()) if (role === 'provider') scene.world.relay.disconnect(id)
    await settle()
    const waits = port?.dial({ host: '203.0.113.1', port: 1 })
    await expect(port?.dial({ host: '203.0.113.2', port: 1 })).rejects.toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
    await scene.provide()
    await waits
    await expect(port?.dial({ host: '203.0.113.2', port: 1 })).rejects.toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
  })

  it('judges again what its connectors run when it changes', async () => {
    const scene = await PolicyScene.begin('agent')
    const stream = await scene.open('192.0.2.1')
    await scene.set(deny('192.0.2.1'), 'tenant')
    expect(stream.closed).toBe(true)
  })
})

describe.each(['reverse', 'agent'] as const)('a policy in %s mode with a provider that can judge', (mode) => {
  const begin = (policy?: TokenPolicy) => PolicyScene.begin(mode, policy, { provider: 'new' })

  it('is judged there for the addresses of a name, and one that is allowed is dialled', async () => {
    const scene = await begin(deny('@private'))
    scene.network.names.set('mixed.example', ['10.0.0.1', '203.0.113.7']).set('inside.example', ['10.0.0.1'])
    expect(await scene.rep('mixed.example')).toBe(Rep.Succeeded)
    expect(await scene.rep('inside.example')).toBe(Rep.NotAllowed)
    expect(scene.network.connected).toEqual([{ host: '203.0.113.7', port: 443 }])
    expect(scene.providers[0]?.policies?.size).toBe(mode === 'agent' ? 2 : 1)
  })

  it('lets no rebound name through', async () => {
    const scene = await begin({
      egress: [
        { action: 'allow', hosts: ['*.example'] },
        { action: 'deny', hosts: ['@loopback'] },
      ],
    })
    scene.network.names.set('rebound.example', ['127.0.0.1'])
    expect(await scene.rep('rebound.example')).toBe(Rep.NotAllowed)
    scene.network.names.set('rebound.example', ['203.0.113.1'])
    expect(await scene.rep('rebound.example')).toBe(Rep.Succeeded)
  })

  it('judges what runs there again when it changes, by the address', async () => {
    const scene = await begin(deny('b.example'))
    scene.network.names.set('in.example', ['192.0.2.1']).set('out.example', ['203.0.113.1'])
    const [inside, outside] = [await scene.open('in.example'), await scene.open('out.example')]
    await scene.change({ egress: [{ action: 'deny', hosts: ['192.0.2.0/24'] }] })
    expect([inside.closed, outside.closed]).toEqual([true, false])
    outside.end()
    scene.network.far[1]?.end()
    await settle()
    expect(scene.providers[0]?.policies?.running).toBe(0)
  })

  it('is sent once, and again when it has changed or is cleared', async () => {
    const scene = await begin(deny('b.example'))
    const policies = scene.providers[0]?.policies
    const sent = scene.sentPolicies()
    for (let count = 0; count < 3; count += 1) await scene.rep('203.0.113.1')
    // the reverse token of a connector token has a number as well
    const all = mode === 'agent' ? 2 : 1
    expect(sent()).toBe(all)
    await scene.change({ egress: [{ action: 'deny', hosts: ['c.example'] }] })
    await scene.rep('203.0.113.1')
    expect([sent(), policies?.size]).toEqual([all + 1, all])
    await scene.set(null)
    expect([sent(), policies?.size]).toEqual([all + 2, all])
    expect(await scene.rep('203.0.113.1')).toBe(Rep.Succeeded)
    expect(sent()).toBe(all + 2)
  })

  it('chooses among those that can judge while there are any, and else refuses what depends on addresses', async () => {
    const scene = await begin(deny('@private'))
    scene.network.names.set('a.example', ['203.0.113.1'])
    await scene.provide(false)
    for (let count = 0; count < 4; count += 1) expect(await scene.rep('a.example')).toBe(Rep.Succeeded)
    scene.providers[0]?.peer.session.abort(new LinkSocksError('ERR_LINK_LOST', 'gone'))
    await settle()
    expect(await scene.refusal('a.example')).toContain('the provider that looks them up does not')
    expect(await scene.rep('203.0.113.1')).toBe(Rep.Succeeded)
  })

  it('judges datagrams to names there', async () => {
    const scene = await begin(deny('bad.example', '10.0.0.0/8'))
    scene.network.names
      .set('good.example', ['203.0.113.1'])
      .set('bad.example', ['203.0.113.1'])
      .set('in.example', ['10.0.0.1'])
    const socket = await scene.dialer.associate()
    socket.start({ datagram: () => {}, close: () => {} })
    for (const host of ['good.example', 'bad.example', 'in.example', 'good.example']) {
      socket.send(new TextEncoder().encode(host), { host, port: 9 })
      await settle()
    }
    expect(scene.network.udp.socket(0).texts).toEqual(Array(2).fill('good.example>203.0.113.1:9'))
  })

  it('holds beside rules, for which names are looked up before a provider dials', async () => {
    const rules = [{ addresses: ['203.0.113.0/24', '10.0.0.0/8'] }]
    const policy = {
      egress: [
        { action: 'allow', hosts: ['*.example'] },
        { action: 'deny', hosts: ['@private'] },
      ],
    } as const
    const scene = await PolicyScene.begin(mode, policy, { provider: 'new', rules })
    const asked = async (name: string, ...addresses: string[]): Promise<number> => {
      const rep = scene.rep(name)
      await settle()
      scene.world.lookups.at(scene.world.lookups.asked.length - 1).resolve(addresses)
      return rep
    }
    expect(await asked('a.example', '10.0.0.1', '203.0.113.1')).toBe(Rep.Succeeded)
    expect(await asked('b.example', '10.0.0.1')).toBe(Rep.NotAllowed)
    expect(await asked('c.example', '198.51.100.1')).toBe(Rep.NotAllowed)
    expect(scene.network.connected).toEqual([{ host: '203.0.113.1', port: 443 }])
  })

  it.each(['old', 'new'] as const)('holds for datagrams to names beside rules (%s provider)', async (provider) => {
    const rules = [{ addresses: ['203.0.113.0/24', '10.0.0.0/8'] }]
    const scene = await PolicyScene.begin(mode, deny('@private', 'bad.example'), { provider, rules })
    const socket = await scene.dialer.associate()
    socket.start({ datagram: () => {}, close: () => {} })
    const send = async (host: string, ...addresses: string[]): Promise<void> => {
      const before = scene.world.lookups.asked.length
      socket.send(new TextEncoder().encode(host), { host, port: 9 })
      await settle()
      if (scene.world.lookups.asked.length > before) scene.world.lookups.at(before).resolve(addresses)
      await settle()
    }
    await send('good.example', '10.0.0.1', '203.0.113.1')
    await send('in.example', '10.0.0.1')
    await send('bad.example', '203.0.113.1')
    await send('out.example', '198.51.100.1')
    expect(scene.network.udp.socket(0).texts).toEqual(['good.example>203.0.113.1:9'])
  })
})
