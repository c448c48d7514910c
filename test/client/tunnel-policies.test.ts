import { describe, expect, it } from 'vitest'
import { JudgingDialer } from '../../src/exit/judging-dialer.js'
import { ChannelProtocol, encodeConnect, MessageType } from '../../src/protocol/messages.js'
import { encodePolicy } from '../../src/protocol/policy-message.js'
import { Rep } from '../../src/protocol/rep.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { memoryStreamPair } from '../support/memory-stream.js'
import { hex } from '../support/test-peer.js'
import { upTunnel } from './tunnel-fixture.js'

const id = (last: number): Uint8Array => Uint8Array.of(...hex('3dfad24bcf6c4b7fa4aa43f2098b21'), last)
const connect = (last: number, host: string, policies?: readonly number[]): Uint8Array =>
  encodeConnect({
    protocol: ChannelProtocol.Tcp,
    channelId: id(last),
    target: { host, port: 80 },
    trailer: policies && { policies },
  })
const deny = (ref: number, ...hosts: string[]): Uint8Array =>
  encodePolicy({ ref, policy: { egress: [{ action: 'deny', hosts }] } })

/** A provider whose exit judges. */
async function provider() {
  const dialled: string[] = []
  const dialer = new JudgingDialer({
    dialer: {
      dial: async ({ host }) => {
        dialled.push(host)
        return memoryStreamPair()[0]
      },
      associate: () => Promise.reject(new Error('no UDP here')),
    },
    resolve: async (host) => (host === 'inside.example' ? ['10.0.0.1'] : ['203.0.113.1']),
    clock: new ManualClock(),
  })
  const stage = await upTunnel({ reverse: true, createExitDialer: () => dialer })
  const answers = () =>
    stage.server
      .link()
      .received(MessageType.ConnectResponse)
      .map(({ success, trailer }) => (success ? Rep.Succeeded : trailer?.rep))
  const send = async (...messages: readonly Uint8Array[]): Promise<void> => {
    stage.server.link().send(...messages)
    await settle()
  }
  return { ...stage, tunnel: stage.tunnel, dialled, answers, send }
}

describe('Tunnel as a provider under policies', () => {
  it('says that it knows them, and no other role does', async () => {
    for (const reverse of [true, false]) {
      const { server, tunnel } = await upTunnel({ reverse })
      expect(new URL(server.link().url).searchParams.get('policy')).toBe(reverse ? '1' : null)
      await tunnel.close()
    }
  })

  it('judges what a Connect names, and dials what is allowed', async () => {
    const { tunnel, dialled, answers, send } = await provider()
    await send(deny(1, '10.0.0.0/8'), deny(2, 'b.example'))
    await send(connect(1, 'inside.example', [1, 2]))
    await send(connect(2, 'b.example', [1, 2]))
    await send(connect(3, 'a.example', [1, 2]))
    await send(connect(4, 'b.example', [1]))
    await send(connect(5, 'inside.example'))
    expect(answers()).toEqual([Rep.NotAllowed, Rep.NotAllowed, Rep.Succeeded, Rep.Succeeded, Rep.Succeeded])
    expect(dialled).toEqual(['203.0.113.1', '203.0.113.1', 'inside.example'])
    await tunnel.close()
  })

  it('ends what a policy denies from then on, by the address that it dialled', async () => {
    const { server, tunnel, send } = await provider()
    await send(deny(1, '192.0.2.1'), connect(1, 'inside.example', [1]), connect(2, 'a.example', [1]))
    await send(deny(1, '10.0.0.0/8'))
    const ended = server.link().received(MessageType.Disconnect)
    expect(ended.map(({ channelId }) => channelId)).toEqual([id(1)])
    await tunnel.close()
  })

  it('allows nothing by a number that an old relay let through', async () => {
    const { tunnel, dialled, answers, send } = await provider()
    await send(connect(1, 'a.example', [1]))
    expect([answers(), dialled]).toEqual([[Rep.NotAllowed], []])
    await tunnel.close()
  })

  it('lets no server flood its log with policies that are broken', async () => {
    const { log, tunnel, send } = await provider()
    for (let ref = 0; ref < 200; ref += 1) await send(deny(ref, 'no/network'))
    expect(log.of('policy.broken')).toHaveLength(50)
    await tunnel.close()
  })
})

describe('Tunnel in another role', () => {
  it('ignores policies, whole or broken', async () => {
    const { server, tunnel } = await upTunnel()
    server.link().send(deny(1, 'a.example'), hex('01f1'), hex('01f10000000178'))
    await settle()
    expect([server.link().messages, server.link().closed, tunnel.links]).toEqual([[], undefined, 1])
    await tunnel.close()
  })
})
