import { describe, expect, it } from 'vitest'
import {
  ChannelProtocol,
  encodeConnect,
  encodeConnectorResponse,
  encodeConnectResponse,
  encodeDatagram,
  encodeDataHead,
  encodeLog,
  MessageType,
} from '../../src/protocol/messages.js'
import { channelMoves } from '../protocol/channel-moves.js'
import { settle } from '../support/manual-clock.js'
import { bytesOf, concat, hex, TestPeer } from '../support/test-peer.js'
import { TunnelStage, upTunnel } from './tunnel-fixture.js'

const CHANNEL: Uint8Array = hex('3dfad24bcf6c4b7fa4aa43f2098b21fc')
const TARGET = { host: 'far.test', port: 80 }
const connect = encodeConnect({ protocol: ChannelProtocol.Tcp, channelId: CHANNEL, target: TARGET })
const dataOf = (text: string, id = CHANNEL): Uint8Array => concat(encodeDataHead(id, text.length), bytesOf(text))

describe('Tunnel as a forward client', () => {
  it('opens a channel and carries bytes both ways', async () => {
    const { server, tunnel } = await upTunnel()
    const dialled = tunnel.dial(TARGET)
    await settle()
    const link = server.link()
    const [asked] = link.received(MessageType.Connect)
    const id = asked?.channelId ?? CHANNEL
    expect(asked).toMatchObject({ protocol: ChannelProtocol.Tcp, target: TARGET })
    link.send(encodeConnectResponse({ success: true, channelId: id }), dataOf('hello', id))
    const peer = new TestPeer(await dialled)
    peer.write('hi')
    expect(await peer.read(5)).toEqual(bytesOf('hello'))
    await settle()
    expect(link.received(MessageType.Data).map(({ data }) => new TextDecoder().decode(data))).toEqual(['hi'])
    await tunnel.close()
  })

  it('refuses a Connect of the server, and dials nothing', async () => {
    const { server, exit, exits, log, tunnel } = await upTunnel()
    server.link().send(connect)
    await settle()
    const [answer] = server.link().received(MessageType.ConnectResponse)
    expect(answer).toMatchObject({ success: false, channelId: CHANNEL, error: expect.stringContaining('not allowed') })
    expect([exit.dialled, exits, log.of('session.connect.refused').length]).toEqual([[], 0, 1])
    await tunnel.close()
  })

  it.each([
    { role: 'forward client', reverse: false },
    { role: 'provider', reverse: true },
  ])('answers a probe with its version, as a $role too', async ({ reverse }) => {
    const { server, tunnel } = await upTunnel({ reverse })
    server.link().send(encodeLog({ level: 'trace', message: 'probe:1' }))
    await settle()
    expect(server.link().received(MessageType.Log)).toEqual([
      { type: MessageType.Log, level: 'trace', message: 'pong:{"version":"1.2.3"}' },
    ])
    await tunnel.close()
  })

  it.each([
    { role: 'forward client', reverse: false },
    { role: 'provider', reverse: true },
  ])('answers a Connect that resumes a channel it lacks, as a $role too, and dials nothing', async ({ reverse }) => {
    const { server, exit, tunnel } = await upTunnel({ reverse })
    const link = server.link()
    link.send(encodeConnect({ protocol: ChannelProtocol.Tcp, channelId: CHANNEL, target: TARGET, resume: true }))
    await settle()
    expect(link.received(MessageType.Disconnect)).toEqual([
      { type: MessageType.Disconnect, channelId: CHANNEL, error: 'channel expired' },
    ])
    expect([link.messages.length, exit.dialled]).toEqual([1, []])
    await tunnel.close()
  })

  it.each([
    { role: 'forward client', reverse: false },
    { role: 'provider', reverse: true },
  ])('ignores messages about channels that move, as a $role too', async ({ reverse }) => {
    const { server, exit, log, tunnel } = await upTunnel({ reverse })
    const lines = log.lines.length
    server.link().send(...channelMoves(CHANNEL))
    await settle()
    expect([log.lines.length, exit.dialled]).toEqual([lines, []])
    server.link().send(...channelMoves(CHANNEL).map((raw) => raw.subarray(0, -1)))
    await settle()
    expect(log.of('session.message.ignored')).toHaveLength(4)
    expect([server.link().messages, server.link().closed, tunnel.links]).toEqual([[], undefined, 1])
    await tunnel.close()
  })

  it('lets no server flood its log', async () => {
    const { server, log, tunnel } = await upTunnel()
    for (let count = 0; count < 200; count += 1) server.link().send(connect)
    await settle()
    expect(server.link().received(MessageType.ConnectResponse)).toHaveLength(200)
    expect(log.of('session.connect.refused')).toHaveLength(50)
    await tunnel.close()
  })

  it('lets a dial be cancelled, and tells the server', async () => {
    const { server, tunnel } = await upTunnel()
    const cancel = new AbortController()
    const dialled = tunnel.dial(TARGET, { signal: cancel.signal })
    await settle()
    cancel.abort()
    await expect(dialled).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    await settle()
    expect(server.link().received(MessageType.Disconnect)).toHaveLength(1)
    await tunnel.close()
  })

  it('dials again on another link when the one is lost before the answer', async () => {
    const { server, clock, tunnel } = await upTunnel()
    const dialled = tunnel.dial(TARGET)
    await settle()
    server.link(0).transport.cut()
    await clock.advanceAsync(0)
    const [asked] = server.link(1).received(MessageType.Connect)
    server.link(1).send(encodeConnectResponse({ success: true, channelId: asked?.channelId ?? CHANNEL }))
    new TestPeer(await dialled)
    await tunnel.close()
  })

  it('associates for UDP and carries datagrams both ways', async () => {
    const { server, tunnel } = await upTunnel()
    const associated = tunnel.associate()
    await settle()
    const link = server.link()
    const channelId = link.received(MessageType.Connect)[0]?.channelId ?? CHANNEL
    link.send(encodeConnectResponse({ success: true, channelId }))
    const socket = await associated
    const got: string[] = []
    socket.start({
      datagram: (data, source) => got.push(`${new TextDecoder().decode(data)} from ${source.host}:${source.port}`),
      close: () => got.push('closed'),
    })
    socket.send(bytesOf('q'), { host: 'dns.test', port: 53 })
    link.send(encodeDatagram({ channelId, data: bytesOf('a'), source: { host: '9.9.9.9', port: 53 } }))
    await settle()
    expect(link.received(MessageType.Data)).toMatchObject([{ target: { host: 'dns.test', port: 53 } }])
    await tunnel.close()
    expect(got).toEqual(['a from 9.9.9.9:53', 'closed'])
  })
})

describe('Tunnel with fast open', () => {
  it.each([
    ['at once on a link that keeps order', { keepsOrder: true }, 'open', 0],
    ['after the answer on any other, said once', {}, 'waiting', 1],
  ])('opens %s', async (_name, trailer, expected, lines) => {
    const stage = await upTunnel({ fastOpen: true, threads: 2 }, { admits: trailer })
    const dialled = stage.tunnel.dial(TARGET)
    dialled.catch(() => {})
    const waiting = settle().then(() => 'waiting')
    expect(await Promise.race([dialled.then(() => 'open'), waiting])).toBe(expected)
    expect(stage.log.of('fastopen.off')).toHaveLength(lines)
    await stage.tunnel.close()
  })

  it('says nothing when nobody asked for it', async () => {
    const { log } = await upTunnel()
    expect(log.of('fastopen.off')).toEqual([])
  })
})

describe('Tunnel as a provider', () => {
  it('dials what the server asks for and joins the two', async () => {
    const { server, exit, tunnel, log } = await upTunnel({ reverse: true })
    expect(log.of('link.up')).toEqual([{ role: 'provider' }])
    const link = server.link()
    expect(link.url).toContain('reverse=true')
    link.send(connect)
    await settle()
    expect(exit.dialled).toEqual([TARGET])
    expect(link.received(MessageType.ConnectResponse)).toMatchObject([{ success: true, channelId: CHANNEL }])
    const [far] = exit.far
    if (far === undefined) throw new Error('nothing was dialled')
    const peer = new TestPeer(far)
    link.send(dataOf('ping'))
    expect(await peer.read(4)).toEqual(bytesOf('ping'))
    peer.write('pong')
    await settle()
    expect(link.received(MessageType.Data).map(({ data }) => new TextDecoder().decode(data))).toEqual(['pong'])
    link.transport.cut()
    expect(await peer.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    await tunnel.close()
  })

  it('has an exit dialer for each link', async () => {
    const stage = await upTunnel({ reverse: true, threads: 3 })
    expect(stage.exits).toBe(3)
    await stage.tunnel.close()
  })
})

describe('Tunnel as an autonomy provider', () => {
  const asked = (stage: TunnelStage, index?: number) => stage.server.link(index).received(MessageType.Connector)

  it('registers its connector tokens through one link, and through the next one when that is lost', async () => {
    const stage = await upTunnel({ reverse: true, threads: 2, connectorTokens: ['a', ''] })
    expect([asked(stage, 0).length, asked(stage, 1).length]).toEqual([2, 0])
    for (const { requestId, token } of asked(stage, 0)) {
      stage.server.link(0).send(encodeConnectorResponse({ requestId, success: true, token: token || 'made' }))
    }
    await settle()
    expect(stage.tunnel.connectorTokens).toEqual(['a', 'made'])
    stage.server.link(0).transport.cut()
    await stage.clock.advanceAsync(0)
    expect(asked(stage, 1).map(({ token }) => token)).toEqual(['a', 'made'])
    expect(stage.server.links).toHaveLength(3)
    expect(asked(stage, 2)).toEqual([])
    await stage.tunnel.close()
    expect(stage.clock.pending).toBe(0)
  })

  it('stops waiting for an answer when the link is lost', async () => {
    const stage = await upTunnel({ reverse: true, connectorTokens: ['a'] })
    stage.server.stalls = true
    stage.server.link().transport.cut()
    await stage.clock.advanceAsync(60_000)
    expect(stage.log.of('connector.refused')).toEqual([])
    await stage.tunnel.close()
  })

  it('leaves answers to a client without such tokens alone', async () => {
    const stage = await new TunnelStage().start()
    await stage.server.link().admit()
    stage.server.link().send(encodeConnectorResponse({ requestId: CHANNEL, success: true, token: 'forged' }))
    await settle()
    expect(stage.tunnel.connectorTokens).toEqual([])
  })
})
