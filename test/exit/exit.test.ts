import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { Exit } from '../../src/exit/exit.js'
import { silentLogger } from '../../src/log.js'
import { Session } from '../../src/mux/session.js'
import { SessionDialer } from '../../src/mux/session-dialer.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { nodeInflate } from '../../src/node/system/inflate.js'
import type { ByteStream, DatagramSocket, Dialer, Target } from '../../src/ports.js'
import { ResetCode } from '../../src/protocol/control.js'
import { encodeConnect, encodeDisconnect, MessageType } from '../../src/protocol/messages.js'
import { newUuid } from '../../src/protocol/uuid.js'
import { accept as acceptMessage, connectTcp, data, disconnect, endingsOf, TARGET } from '../relay/splice/channels.js'
import { Peer } from '../relay/world.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { memoryStreamPair } from '../support/memory-stream.js'
import { memoryTransportPair } from '../support/memory-transport.js'
import { concat, TestPeer } from '../support/test-peer.js'
import { Calls, FakeSocket, IdleStream } from './fakes.js'

/** An exit behind a session, and the far end of its transport. */
function setUp() {
  const clock = new ManualClock()
  const [near, far] = memoryTransportPair({ clock })
  const dials = new Calls<Target, ByteStream>()
  const associations = new Calls<undefined, DatagramSocket>()
  const dialer = {
    dial: (target: Target, options = {}) => dials.call(target, options),
    associate: (options = {}) => associations.call(undefined, options),
  }
  const exit = new Exit({ dialer, log: silentLogger })
  const environment = { clock, crypto: nodeCrypto, inflate: nodeInflate, log: silentLogger, pongs: false }
  const session = new Session(far, environment)
  session.start({ connect: (message) => exit.connect(session, message), close: () => {} })
  const client = (): { session: Session; dialer: SessionDialer } => {
    const other = new Session(near, environment)
    other.start({ close: () => {} })
    return { session: other, dialer: new SessionDialer(other, { fastOpen: false }) }
  }
  return { clock, near, far, dials, associations, session, client, peer: () => new Peer([near, far]) }
}

const id = (): Uint8Array => newUuid(nodeCrypto)
const answers = (peer: Peer) => peer.of(MessageType.ConnectResponse)

describe('Exit', () => {
  it('dials and joins the stream both ways, half-close included', async () => {
    const { client, dials, session } = setUp()
    const near = client()
    const dialling = near.dialer.dial(TARGET)
    await settle()
    expect(dials.asked).toEqual([TARGET])
    const [ours, target] = memoryStreamPair()
    dials.at(0).resolve(ours)
    const [app, server] = [new TestPeer(await dialling), new TestPeer(target)]
    app.write('question')
    app.end()
    await server.until(() => server.ended)
    expect(server.text).toBe('question')
    server.write('answer')
    server.close()
    await app.untilClosed()
    expect([app.text, app.error, server.closed]).toEqual(['answer', undefined, true])
    await settle()
    expect([session.channels, near.session.channels]).toEqual([0, 0])
  })

  it('delivers what a target says first, behind the answer', async () => {
    const { peer, dials } = setUp()
    const near = peer()
    const channel = id()
    await near.send(connectTcp(channel))
    const [ours, target] = memoryStreamPair()
    target.write(new TextEncoder().encode('220 ready'))
    dials.at(0).resolve(ours)
    await settle()
    expect(near.messages.map(({ type }) => type)).toEqual([MessageType.ConnectResponse, MessageType.Data])
  })

  it.each([
    ['ERR_DIAL_REFUSED', 5],
    ['ERR_DIAL_HOST_UNREACHABLE', 4],
    ['ERR_DIAL_NETWORK_UNREACHABLE', 3],
    ['ERR_DIAL_NOT_ALLOWED', 2],
    ['ERR_DIAL_TIMEOUT', 6],
    ['ERR_DIAL_UNSUPPORTED', 7],
  ] as const)('refuses with the REP of %s', async (code, rep) => {
    const { peer, dials, associations, session } = setUp()
    const near = peer()
    await near.send(connectTcp(id()), encodeConnect({ protocol: 2, channelId: id() }))
    dials.at(0).reject(new LinkSocksError(code, 'why'))
    associations.at(0).reject(new LinkSocksError(code, 'why'))
    await settle()
    expect(answers(near)).toMatchObject([
      { success: false, error: expect.stringMatching(/^why/), trailer: { rep } },
      { success: false, error: expect.stringMatching(/^why/), trailer: { rep } },
    ])
    expect(session.channels).toBe(0)
  })

  it('answers port 0 and protocols that nobody knows', async () => {
    const { peer, dials } = setUp()
    const near = peer()
    await near.send(concat(Uint8Array.of(1, 3, 9), id()))
    expect(answers(near)).toMatchObject([{ success: false, trailer: { rep: 7 } }])
    await near.send(encodeConnect({ protocol: 1, channelId: id(), target: { host: 'a', port: 0 } }))
    dials.at(0).reject(new LinkSocksError('ERR_DIAL_ADDRESS', 'port 0'))
    await settle()
    expect(answers(near)).toHaveLength(2)
  })

  it('a Disconnect while the dial runs cancels it', async () => {
    const { peer, dials, associations, session } = setUp()
    const near = peer()
    const [tcp, udp] = [id(), id()]
    await near.send(connectTcp(tcp), encodeConnect({ protocol: 2, channelId: udp }))
    await near.send(disconnect(tcp), encodeDisconnect({ channelId: udp }))
    expect([dials.at(0).aborted, associations.at(0).aborted]).toEqual([true, true])
    expect(answers(near).every(({ success }) => !success)).toBe(true)
    expect(session.channels).toBe(0)
  })

  it('closes what a dial opens in spite of its cancel: no orphan stays', async () => {
    const { client, clock, session } = setUp()
    const late = new Calls<Target, ByteStream>({ heedSignal: false })
    const sockets = new Calls<undefined, DatagramSocket>({ heedSignal: false })
    const dialer: Dialer = {
      dial: (target, options) => late.call(target, options),
      associate: (options) => sockets.call(undefined, options),
    }
    const exit = new Exit({ dialer, log: silentLogger })
    const { session: link } = client()
    const [tcp, udp] = [id(), id()]
    exit.connect(link, { type: MessageType.Connect, protocol: 1, channelId: tcp, target: TARGET })
    exit.connect(link, { type: MessageType.Connect, protocol: 2, channelId: udp })
    session.control(disconnect(tcp, 'gave up'))
    session.control(disconnect(udp, 'gave up'))
    await settle()
    const [stream, socket] = [new IdleStream(), new FakeSocket('0.0.0.0')]
    late.at(0).resolve(stream)
    sockets.at(0).resolve(socket)
    await settle()
    expect(stream.aborted).toBeDefined()
    expect(socket.closed).toBe(true)
    expect(link.channels).toBe(0)
    clock.advance(0)
  })

  it('cancels dials and resets streams when the link is lost', async () => {
    const { peer, dials, near } = setUp()
    const scripted = peer()
    await scripted.send(connectTcp(id()), connectTcp(id()))
    const stream = new IdleStream()
    dials.at(0).resolve(stream)
    await settle()
    near.cut()
    await settle()
    expect(stream.aborted?.code).toBe('ERR_LINK_LOST')
    expect(dials.at(1).aborted).toBe(true)
  })

  it('ignores a second Connect for a living channel', async () => {
    const { peer, dials } = setUp()
    const near = peer()
    const channel = id()
    await near.send(connectTcp(channel), connectTcp(channel))
    expect(dials.asked).toHaveLength(1)
    expect(near.raw).toEqual([])
    dials.at(0).resolve(memoryStreamPair()[0])
    await settle()
    expect(answers(near)).toMatchObject([{ success: true }])
  })

  it('takes a channel id again once the channel is over', async () => {
    const { peer, dials } = setUp()
    const near = peer()
    const channel = id()
    await near.send(connectTcp(channel))
    dials.at(0).reject(new LinkSocksError('ERR_DIAL_REFUSED', 'no'))
    await settle()
    await near.send(connectTcp(channel))
    expect(dials.asked).toHaveLength(2)
  })

  it('keeps early data for the destination, bounded', async () => {
    const { peer, dials } = setUp()
    const near = peer()
    const [fine, greedy] = [id(), id()]
    await near.send(connectTcp(fine, 65_536), data(fine, 'GET /'))
    const [ours, target] = memoryStreamPair()
    const server = new TestPeer(target)
    dials.at(0).resolve(ours)
    await settle()
    expect(server.text).toBe('GET /')
    await near.send(connectTcp(greedy, 65_536), data(greedy, new Uint8Array(65_537)))
    expect(dials.at(1).aborted).toBe(true)
    expect(answers(near).at(-1)?.success).toBe(false)
  })

  it('resets the channel when the destination resets', async () => {
    const { peer, dials } = setUp()
    const near = peer()
    const channel = id()
    await near.send(connectTcp(channel, 65_536))
    const [ours, target] = memoryStreamPair()
    dials.at(0).resolve(ours)
    new TestPeer(target).abort(new LinkSocksError('ERR_STREAM_RESET', 'reset'))
    await settle()
    expect(endingsOf(near)).toEqual([ResetCode.ConnectionReset, expect.any(String)])
  })

  it('a ConnectResponse from the asker changes nothing', async () => {
    const { peer, dials } = setUp()
    const near = peer()
    const channel = id()
    await near.send(connectTcp(channel), acceptMessage(channel))
    expect(dials.at(0).aborted).toBe(false)
    expect(near.raw).toEqual([])
  })

  it('carries datagrams both ways until the asker leaves', async () => {
    const { client, associations } = setUp()
    const { dialer } = client()
    const associating = dialer.associate()
    await settle()
    const far = new FakeSocket('0.0.0.0')
    associations.at(0).resolve(far)
    const socket = await associating
    const got: string[] = []
    socket.start({
      datagram: (bytes, source) => got.push(`${new TextDecoder().decode(bytes)}<${source.host}:${source.port}`),
      close: () => got.push('close'),
    })
    socket.send(new TextEncoder().encode('q'), { host: 'dns.example', port: 53 })
    await settle()
    expect(far.texts).toEqual(['q>dns.example:53'])
    far.handler?.datagram(new TextEncoder().encode('a'), { host: '127.0.0.1', port: 53 })
    await settle()
    socket.close()
    await settle()
    expect(got).toEqual(['a<127.0.0.1:53', 'close'])
    expect(far.closed).toBe(true)
  })
})
