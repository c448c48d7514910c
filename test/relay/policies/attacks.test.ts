import { describe, expect, it } from 'vitest'
import { NAME_TTL_MS } from '../../../src/exit/udp/udp-names.js'
import { SessionDialer } from '../../../src/mux/session-dialer.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { Rep } from '../../../src/protocol/rep.js'
import { bytes } from '../../exit/fakes.js'
import { settle } from '../../support/manual-clock.js'
import { TestPeer } from '../../support/test-peer.js'
import { MODES } from '../observe/stream-scene.js'
import { PolicyScene } from './policy-scene.js'

const deny = (...hosts: string[]): TokenPolicy => ({ egress: [{ action: 'deny', hosts }] })

const ALL = MODES.flatMap((mode) =>
  (mode === 'forward' ? (['old'] as const) : (['old', 'new'] as const)).map((provider) => ({ mode, provider })),
)
/** Where the addresses of names are judged. */
const JUDGED = ALL.filter(({ mode, provider }) => mode === 'forward' || provider === 'new')

/** 10.0.0.1, as a program may write it. */
const SPELLINGS = [
  '::ffff:10.0.0.1',
  '::FFFF:a00:1',
  '0:0:0:0:0:ffff:10.0.0.1',
  '::10.0.0.1',
  '::ffff:0:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b::a00:1',
  '64:ff9b:1::a00:1',
  '2002:a00:1::1',
  '[::ffff:10.0.0.1]',
  '10.0.0.1.',
  '10.1',
  '0xa.1',
  '0X0A000001',
  '012.0.0.1',
  '167772161',
]

/** Sends one datagram to each, and gives what left. */
async function datagrams(scene: PolicyScene, targets: readonly (readonly [host: string, port: number])[]) {
  const socket = await scene.dialer.associate()
  socket.start({ datagram: () => {}, close: () => {} })
  for (const [host, port] of targets) {
    socket.send(bytes('x'), { host, port })
    await settle()
  }
  return { socket, left: () => scene.network.udp.sockets.flatMap(({ texts }) => texts) }
}

describe.each(ALL)('in $mode mode with an $provider provider', ({ mode, provider }) => {
  const begin = (policy: TokenPolicy) => PolicyScene.begin(mode, policy, { provider })

  it('an address that is denied is denied in every spelling, before anything is looked up', async () => {
    const scene = await begin(deny('10.0.0.0/8'))
    for (const host of SPELLINGS) expect([host, await scene.rep(host)]).toEqual([host, Rep.NotAllowed])
    expect([scene.network.connected, scene.network.lookups]).toEqual([[], []])
  })

  it('no datagram leaves for an address that is denied, in any spelling', async () => {
    const scene = await begin(deny('10.0.0.0/8'))
    const { left } = await datagrams(scene, [...SPELLINGS.map((host) => [host, 53] as const), ['203.0.113.1', 53]])
    expect([left(), scene.network.lookups]).toEqual([['x>203.0.113.1:53'], []])
  })

  it('ranges hold at their edges', async () => {
    const scene = await begin({
      egress: [
        { action: 'deny', hosts: ['192.0.2.10-192.0.2.20', '198.51.100.64/26', '2001:db8::10-2001:db8::20'] },
        { action: 'deny', hosts: ['203.0.113.0/24'], ports: [22, [8000, 8999]] },
      ],
    })
    const inside = ['192.0.2.10', '192.0.2.20', '198.51.100.64', '198.51.100.127', '2001:db8::10', '2001:db8::20']
    const outside = ['192.0.2.9', '192.0.2.21', '198.51.100.63', '198.51.100.128', '2001:db8::f', '2001:db8::21']
    for (const host of inside) expect([host, await scene.rep(host)]).toEqual([host, Rep.NotAllowed])
    for (const host of outside) expect([host, await scene.rep(host)]).toEqual([host, Rep.Succeeded])
    for (const [port, rep] of [
      [21, Rep.Succeeded],
      [22, Rep.NotAllowed],
      [23, Rep.Succeeded],
      [7999, Rep.Succeeded],
      [8000, Rep.NotAllowed],
      [8999, Rep.NotAllowed],
      [9000, Rep.Succeeded],
    ] as const) {
      expect([port, await scene.rep('203.0.113.7', port)]).toEqual([port, rep])
    }
  })

  it('a name that is denied is denied in every spelling', async () => {
    const scene = await begin(deny('git.corp.example', '*.münchen.example'))
    for (const host of [
      'GIT.Corp.Example',
      'git.corp.example.',
      'ｇｉｔ.corp.example',
      'git。corp.example',
      'a.xn--mnchen-3ya.example',
      'A.MÜNCHEN.example.',
    ]) {
      expect([host, await scene.rep(host)]).toEqual([host, Rep.NotAllowed])
    }
    expect(scene.network.lookups).toEqual([])
  })

  it('what names nothing reaches nothing', async () => {
    const scene = await begin(deny('git.corp.example', '10.0.0.0/8'))
    for (const host of [
      'git.corp.example\0',
      'git.corp.example\0.other.example',
      'a b',
      'fe80::1%eth0',
      '::1%1',
      '[::1',
      'a:1',
    ]) {
      expect([host, await scene.rep(host)]).not.toEqual([host, Rep.Succeeded])
    }
    expect(await scene.rep('203.0.113.1', 0)).not.toBe(Rep.Succeeded)
    expect([scene.network.connected, scene.network.lookups]).toEqual([[], []])
  })

  it('an association that began allowed reaches no port that is denied', async () => {
    const scene = await begin({ egress: [{ action: 'deny', ports: [53, [5000, 5010]], protocol: 'udp' }] })
    const ports = [443, 53, 52, 54, 4999, 5000, 5010, 5011, 443]
    const { left } = await datagrams(
      scene,
      ports.map((port) => ['203.0.113.1', port] as const),
    )
    expect(left().map((text) => Number(text.split(':')[1]))).toEqual([443, 52, 54, 4999, 5011, 443])
    // rules for UDP say nothing of TCP
    expect(await scene.rep('203.0.113.1', 53)).toBe(Rep.Succeeded)
  })

  it('early data for a destination that is denied leaves nowhere', async () => {
    const scene = await begin(deny('10.0.0.0/8', 'git.corp.example'))
    const [first] = scene.providers
    const received = first?.peer.session.usage.receivedBytes
    const dialer = scene.asker === undefined ? scene.dialer : new SessionDialer(scene.asker.session, { fastOpen: true })
    for (const host of ['10.0.0.1', 'git.corp.example', '::ffff:10.0.0.1']) {
      const opened = dialer.dial({ host, port: 443 }).then(
        (stream) => {
          const peer = new TestPeer(stream)
          peer.write('early')
          return peer.untilClosed()
        },
        (error: unknown) => error,
      )
      expect(await opened).toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
    }
    expect([scene.network.connected, scene.network.lookups]).toEqual([[], []])
    expect(first?.peer.session.usage.receivedBytes).toBe(received)
  })
})

describe.each(JUDGED)(
  'in $mode mode with an $provider provider, where addresses of names are judged',
  ({ mode, provider }) => {
    const begin = (policy: TokenPolicy) => PolicyScene.begin(mode, policy, { provider })

    it('a name that is bound anew is judged anew', async () => {
      const scene = await begin(deny('10.0.0.0/8', '64:ff9b::/96'))
      const reps: number[] = []
      for (const address of [
        '203.0.113.1',
        '10.0.0.1',
        '::ffff:10.0.0.1',
        '64:ff9b::a00:1',
        '2002:a00:1::1',
        '203.0.113.1',
      ]) {
        scene.network.names.set('rebound.example', [address])
        reps.push(await scene.rep('rebound.example'))
      }
      const { NotAllowed, Succeeded } = Rep
      expect(reps).toEqual([Succeeded, NotAllowed, NotAllowed, NotAllowed, NotAllowed, Succeeded])
      expect(scene.network.connected.map(({ host }) => host)).toEqual(['203.0.113.1', '203.0.113.1'])
    })

    it('a name that is bound anew is judged anew for an association that goes on', async () => {
      const scene = await begin(deny('10.0.0.0/8'))
      scene.network.names.set('rebound.example', ['203.0.113.1'])
      const { socket, left } = await datagrams(scene, [['rebound.example', 53]])
      scene.network.names.set('rebound.example', ['10.0.0.1'])
      await scene.clock.advanceAsync(NAME_TTL_MS + 1)
      socket.send(bytes('x'), { host: 'rebound.example', port: 53 })
      await settle()
      expect(left()).toEqual(['x>203.0.113.1:53'])
    })

    it('early data for a name that leads to a denied address leaves the exit nowhere', async () => {
      const scene = await begin(deny('10.0.0.0/8'))
      scene.network.names.set('inside.example', ['10.0.0.1'])
      if (scene.asker === undefined) return
      const dialer = new SessionDialer(scene.asker.session, { fastOpen: true })
      const peer = new TestPeer(await dialer.dial({ host: 'inside.example', port: 443 }))
      peer.write('early')
      expect(await peer.untilClosed()).toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
      expect([scene.network.connected, scene.network.far]).toEqual([[], []])
    })
  },
)

describe.each(['reverse', 'agent'] as const)('in %s mode with an old provider', (mode) => {
  it('early data for what depends on addresses does not even reach the provider', async () => {
    const scene = await PolicyScene.begin(mode, deny('10.0.0.0/8'))
    const received = scene.providers[0]?.peer.session.usage.receivedBytes
    const dialer = scene.asker === undefined ? scene.dialer : new SessionDialer(scene.asker.session, { fastOpen: true })
    const opened = dialer.dial({ host: 'a.example', port: 443 }).then(
      (stream) => {
        const peer = new TestPeer(stream)
        peer.write('early')
        return peer.untilClosed()
      },
      (error: unknown) => error,
    )
    expect(await opened).toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
    expect(scene.providers[0]?.peer.session.usage.receivedBytes).toBe(received)
  })

  it('datagrams to names that depend on addresses go nowhere', async () => {
    const scene = await PolicyScene.begin(mode, deny('10.0.0.0/8'))
    scene.network.names.set('inside.example', ['10.0.0.1']).set('outside.example', ['203.0.113.1'])
    const { left } = await datagrams(scene, [
      ['inside.example', 53],
      ['outside.example', 53],
    ])
    expect([left(), scene.network.lookups]).toEqual([[], []])
  })
})
