import { describe, expect, it } from 'vitest'
import { ControlOp, encodeControl, ResetCode } from '../../../src/protocol/control.js'
import { KIB, MIB } from '../../../src/protocol/limits.js'
import { encodeConnect, encodeConnectResponse, encodeDatagram, MessageType } from '../../../src/protocol/messages.js'
import { bytesBehindData, dataAmong } from '../../protocol/behind-data.js'
import { settle } from '../../support/manual-clock.js'
import { concat } from '../../support/test-peer.js'
import { agentWorld, type Peer, uuid, type World } from '../world.js'
import {
  accept,
  connectTcp,
  data,
  disconnect,
  endingsOf,
  expectForgotten,
  openChannel,
  TARGET,
  textOf,
  windowUpdate,
} from './channels.js'

async function pair(): Promise<{ world: World; connector: Peer; provider: Peer }> {
  const world = await agentWorld()
  const provider = await world.join('tenant')
  const connector = await world.join('member')
  provider.clear()
  connector.clear()
  return { world, connector, provider }
}

const MEBIBYTE = new Uint8Array(MIB)
const received = (peer: Peer): number =>
  peer.of(MessageType.Data).reduce((sum, message) => sum + message.data.length, 0)
const reset = (id: Uint8Array, code: number): Uint8Array => encodeControl(id, { op: ControlOp.Reset, code })
const endOfStream = (id: Uint8Array, total: number): Uint8Array =>
  encodeControl(id, { op: ControlOp.EndOfStream, total })

describe('Data that passes', () => {
  const EIGHT = new Uint8Array(8).fill(1)

  it.each([
    ['with stream control', { offer: 65_536, grant: 65_536 }],
    ['without stream control', {}],
  ])('has nothing behind it that was not there before, %s', async (_name, control) => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider, control)
    const messages = [
      data(id, 'plain'),
      data(id, ''),
      concat(data(id, 'numbered'), EIGHT),
      windowUpdate(id, 1_000),
      concat(windowUpdate(id, 1), EIGHT),
    ]
    await provider.send(...messages)
    await connector.send(...messages)
    expect([dataAmong(connector.raw), dataAmong(provider.raw)]).toEqual([messages, messages])
    // what the relay writes by itself when an end is lost
    connector.clear()
    provider.clear()
    await connector.send(endOfStream(id, 13))
    connector.transport.cut()
    await world.clock.advanceAsync(60_000)
    expect(dataAmong(provider.raw).filter((raw) => bytesBehindData(raw) !== 0)).toEqual([])
    expect(endingsOf(provider).length).toBeGreaterThan(0)
  })

  it('is passed on byte for byte over udp as well', async () => {
    const { connector, provider } = await pair()
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 2, channelId: id }))
    await provider.send(accept(id))
    const datagram = encodeDatagram({ channelId: id, data: Uint8Array.of(1), target: TARGET })
    await connector.send(datagram, concat(datagram, EIGHT))
    expect(dataAmong(provider.raw).map(bytesBehindData)).toEqual([0, 8])
  })
})

describe('credit', () => {
  it('lets a full window pass and resets both ends on one byte more', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider, { offer: 65_536, grant: 131_072 })
    await provider.send(data(id, new Uint8Array(65_536)))
    expect(received(connector)).toBe(65_536)
    expect(endingsOf(connector)).toEqual([])
    await provider.send(data(id, 'x'))
    expect(received(connector)).toBeLessThan(65_600)
    expect(endingsOf(connector)[0]).toBe(ResetCode.FlowControl)
    expect(endingsOf(provider)[0]).toBe(ResetCode.FlowControl)
    expect(endingsOf(provider)).toHaveLength(2)
    expect(await expectForgotten(world, [connector, provider], id)).toBe(true)
  })

  it("enforces the provider's window on the connector, early Data included", async () => {
    const { connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id, 65_536), data(id, new Uint8Array(40_000)))
    await provider.send(accept(id, 65_536))
    await connector.send(data(id, new Uint8Array(25_536)))
    expect(endingsOf(provider)).toEqual([])
    await connector.send(data(id, 'x'))
    expect(endingsOf(provider)[0]).toBe(ResetCode.FlowControl)
  })

  it('counts WINDOW_UPDATEs that pass, in both directions', async () => {
    const { connector, provider } = await pair()
    const id = await openChannel(connector, provider, { offer: 65_536, grant: 65_536 })
    await connector.send(windowUpdate(id, 1_000))
    await provider.send(data(id, new Uint8Array(66_536)), windowUpdate(id, 500))
    await connector.send(data(id, new Uint8Array(66_036)))
    expect([...endingsOf(connector), ...endingsOf(provider)]).toEqual([])
    await provider.send(data(id, 'x'))
    expect(endingsOf(connector)[0]).toBe(ResetCode.FlowControl)
  })

  it('takes a larger grant for 16 MiB', async () => {
    const { connector, provider } = await pair()
    const id = await openChannel(connector, provider, { offer: 0xffff_ffff, grant: 65_536 })
    for (let sent = 0; sent < 16; sent += 1) await provider.send(data(id, new Uint8Array(MIB)))
    expect(endingsOf(connector)).toEqual([])
    await provider.send(data(id, 'x'))
    expect(endingsOf(connector)[0]).toBe(ResetCode.FlowControl)
  })

  it('resets a channel that sends more than 64 KiB before the answer', async () => {
    const { connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id, 65_536))
    await connector.send(data(id, new Uint8Array(65_537)))
    expect(connector.of(MessageType.ConnectResponse)[0]?.success).toBe(false)
    // it has not answered: no RESET for it
    expect(endingsOf(provider)).toEqual(['the peer sent too much before the answer'])
  })

  it('counts what a provider sends ahead of its answer', async () => {
    const { connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id, 65_536))
    await provider.send(data(id, new Uint8Array(65_537)))
    await provider.send(accept(id, 65_536))
    expect(endingsOf(connector)[0]).toBe(ResetCode.FlowControl)
  })

  it('does not judge a channel of which one end does not know stream control', async () => {
    for (const [offer, grant] of [
      [65_536, undefined],
      [undefined, 65_536],
    ] as const) {
      const { connector, provider } = await pair()
      const options = { ...(offer === undefined ? {} : { offer }), ...(grant === undefined ? {} : { grant }) }
      const id = await openChannel(connector, provider, options)
      await provider.send(data(id, new Uint8Array(200_000)))
      await connector.send(data(id, new Uint8Array(200_000)))
      expect([received(connector), received(provider)]).toEqual([200_000, 200_000])
    }
  })

  it('passes half-close in order and lets the other direction go on', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider, { offer: 65_536, grant: 65_536 })
    await connector.send(data(id, 'request'), endOfStream(id, 7))
    expect(provider.of(MessageType.Data).map(({ compression }) => compression)).toEqual([0, 0x10])
    await provider.send(data(id, 'answer'), endOfStream(id, 6), disconnect(id, 'EOF'))
    await connector.send(disconnect(id, 'EOF'))
    expect(textOf(connector)).toBe('answer')
    expect(await expectForgotten(world, [connector, provider], id)).toBe(true)
  })

  it('lets a RESET overtake the data that waits', async () => {
    const { connector, provider } = await pair()
    const id = await openChannel(connector, provider, { offer: 16 * MIB, grant: 65_536 })
    connector.far.hold()
    for (let sent = 0; sent < 8; sent += 1) await provider.send(data(id, new Uint8Array(MIB)))
    await provider.send(reset(id, ResetCode.ConnectionReset), disconnect(id, 'reset'))
    connector.far.letGo()
    await settle()
    expect(received(connector)).toBeLessThan(2 * MIB)
    expect(endingsOf(connector)).toEqual([ResetCode.ConnectionReset, 'reset'])
  })

  it('takes a RESET before the answer for a mistake, and dials for it no longer', async () => {
    const { connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id, 65_536))
    await connector.send(reset(id, ResetCode.ConnectionReset))
    expect(connector.of(MessageType.ConnectResponse)[0]?.success).toBe(false)
    expect(endingsOf(provider)).toEqual(['RESET before the answer'])
  })

  it('does not stop reading a link for channels with credit', async () => {
    const { connector, provider } = await pair()
    const ids = []
    for (let count = 0; count < 3; count += 1) {
      ids.push(await openChannel(connector, provider, { offer: 16 * MIB, grant: 65_536 }))
    }
    connector.far.hold()
    for (const message of ids.map((id) => data(id, MEBIBYTE))) {
      for (let sent = 0; sent < 15; sent += 1) await provider.send(message)
    }
    expect(provider.far.paused).toBe(false)
    expect(endingsOf(provider)).toEqual([])
  })

  it('resets channels that add to a link over its total, and spares modest ones', async () => {
    const { connector, provider, world } = await pair()
    const ids = []
    for (let count = 0; count < 10; count += 1) {
      ids.push(await openChannel(connector, provider, { offer: 16 * MIB, grant: 65_536 }))
    }
    const other = await world.join('member')
    const modest = await openChannel(other, provider, { offer: 65_536, grant: 65_536 })
    connector.far.hold()
    for (const message of ids.map((id) => data(id, MEBIBYTE))) {
      for (let sent = 0; sent < 15; sent += 1) await provider.send(message)
    }
    expect(endingsOf(provider).length).toBeGreaterThan(0)
    provider.clear()
    await provider.send(data(modest, new Uint8Array(65_536)))
    expect(received(other)).toBe(65_536)
    expect(endingsOf(provider)).toEqual([])
  })
})

describe('what a peer may provoke', () => {
  it('a flood of WINDOW_UPDATEs does not cost a slow provider its link', async () => {
    const { connector, provider } = await pair()
    const id = await openChannel(connector, provider, { offer: 65_536, grant: 65_536 })
    provider.far.hold()
    const padded = concat(
      windowUpdate(id, 1).subarray(0, 20),
      Uint8Array.of(0, 0, 16, 0),
      new Uint8Array([1, 0, 0, 0, 1, ...new Uint8Array(4_091)]),
    )
    for (let sent = 0; sent < 4_000; sent += 100) await connector.send(...Array.from({ length: 100 }, () => padded))
    provider.far.letGo()
    await settle()
    expect(provider.closed).toBeUndefined()
    await provider.send(data(id, 'alive'))
    expect(textOf(connector)).toBe('alive')
  })

  it('a flood of Connects does not cost a slow provider its link', async () => {
    const { connector, provider } = await pair()
    provider.far.hold()
    const padding = new Uint8Array(4_000)
    for (let sent = 0; sent < 3_000; sent += 100) {
      await connector.send(...Array.from({ length: 100 }, () => concat(connectTcp(uuid()), padding)))
    }
    provider.far.letGo()
    await settle()
    expect(provider.closed).toBeUndefined()
  })

  it('a Disconnect or answer of several kilobytes ends the channel, not the link', async () => {
    const { connector, provider } = await pair()
    const one = await openChannel(connector, provider)
    await connector.send(concat(disconnect(one, 'x'), new Uint8Array(5_000)))
    expect(endingsOf(provider)).toHaveLength(1)
    const two = uuid()
    await connector.send(connectTcp(two))
    await provider.send(concat(accept(two), new Uint8Array(9 * MIB)))
    expect(connector.of(MessageType.ConnectResponse)[0]?.success).toBe(false)
    expect([connector.closed, provider.closed]).toEqual([undefined, undefined])
  })
})

describe('base channels', () => {
  it('stop the reading of the link above 4 MiB, 2 s after each 4 MiB more, and lose nothing', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    // the first ping is answered
    await world.clock.advanceAsync(1_000)
    connector.far.hold()
    for (let sent = 0; sent < 24; sent += 1) provider.transport.send(data(id, new Uint8Array(512 * KIB).fill(sent)))
    await settle()
    expect(provider.far.paused).toBe(true)
    const waiting = provider.transport.queuedFrames
    expect(waiting).toBeGreaterThan(8)
    await world.clock.advanceAsync(1_999)
    expect(provider.transport.queuedFrames).toBe(waiting)
    await world.clock.advanceAsync(1)
    expect(provider.transport.queuedFrames).toBe(waiting - 8)
    connector.far.letGo()
    await world.clock.advanceAsync(10_000)
    expect(connector.of(MessageType.Data).map((message) => message.data[0])).toEqual([...Array(24).keys()])
    expect(provider.far.paused).toBe(false)
  })

  it('deliver the end of a download to a slow reader after the far side closed and left', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    connector.far.hold()
    for (let sent = 0; sent < 6; sent += 1) await provider.send(data(id, new Uint8Array(512 * KIB).fill(sent)))
    await provider.send(disconnect(id, 'EOF'))
    for (let waited = 0; waited < 20; waited += 1) {
      // answers pings all the while
      connector.far.flush(1)
      await connector.send()
      connector.transport.pong()
      provider.transport.pong()
      await world.clock.advanceAsync(5_000)
      if (waited === 2) provider.transport.abort()
    }
    connector.far.letGo()
    await settle()
    expect(received(connector)).toBe(3 * MIB)
    expect(endingsOf(connector)).toEqual(['EOF'])
    await connector.send(disconnect(id, 'EOF'))
    expect(await expectForgotten(world, [connector], id)).toBe(true)
  })

  it('are aborted when a reader takes nothing for 30 s after the far side left', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    connector.far.hold()
    for (let sent = 0; sent < 6; sent += 1) await provider.send(data(id, new Uint8Array(512 * KIB)))
    await provider.send(disconnect(id, 'EOF'))
    provider.transport.abort()
    for (let waited = 0; waited < 9; waited += 1) {
      connector.transport.pong()
      await world.clock.advanceAsync(5_000)
    }
    connector.far.letGo()
    await settle()
    expect(endingsOf(connector)).toEqual(['the reader accepted nothing for too long'])
  })

  it('are aborted when over the limit and nothing is taken for 30 s', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    connector.far.hold()
    for (let sent = 0; sent < 10; sent += 1) await provider.send(data(id, new Uint8Array(512 * KIB)))
    for (let waited = 0; waited < 7; waited += 1) {
      connector.transport.pong()
      provider.transport.pong()
      await world.clock.advanceAsync(5_000)
    }
    expect(endingsOf(provider)).toEqual(['the reader accepted nothing for too long'])
    expect(provider.far.paused).toBe(false)
  })

  it('an upload to an end that has left is thrown away and stops nobody', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    connector.far.hold()
    for (let sent = 0; sent < 4; sent += 1) await provider.send(data(id, new Uint8Array(512 * KIB)))
    await provider.send(disconnect(id, 'EOF'))
    provider.transport.abort()
    for (let sent = 0; sent < 20; sent += 1) await connector.send(data(id, new Uint8Array(512 * KIB)))
    expect(connector.far.paused).toBe(false)
    connector.far.letGo()
    await connector.send(disconnect(id, 'EOF'))
    expect(await expectForgotten(world, [connector], id)).toBe(true)
  })

  it('are forgotten at once when the reader ends what a lost end had ended', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    connector.far.hold()
    await provider.send(data(id, new Uint8Array(200_000)), data(id, new Uint8Array(200_000)), disconnect(id, 'EOF'))
    provider.transport.abort()
    await settle()
    connector.far.letGo()
    await settle()
    expect(received(connector)).toBe(400_000)
    await connector.send(disconnect(id, 'EOF'))
    expect(await expectForgotten(world, [connector], id)).toBe(true)
  })

  it('a stalled channel leaves others alone', async () => {
    const { world, connector, provider } = await pair()
    const other = await world.join('member')
    const stalled = await openChannel(connector, provider)
    const fine = await openChannel(other, provider)
    connector.far.hold()
    for (let sent = 0; sent < 7; sent += 1) await provider.send(data(stalled, new Uint8Array(512 * KIB)))
    await provider.send(data(fine, 'quick'))
    expect(textOf(other)).toBe('quick')
  })
})

describe('datagrams', () => {
  async function association(): Promise<{ connector: Peer; provider: Peer; id: Uint8Array; world: World }> {
    const { world, connector, provider } = await pair()
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 2, channelId: id }))
    await provider.send(encodeConnectResponse({ success: true, channelId: id }))
    return { world, connector, provider, id }
  }

  const datagram = (id: Uint8Array, index: number, bytes = 60_000): Uint8Array =>
    encodeDatagram({ channelId: id, data: new Uint8Array(bytes).fill(index), source: TARGET })

  it('pass both ways', async () => {
    const { connector, provider, id } = await association()
    await connector.send(datagram(id, 1, 5))
    await provider.send(datagram(id, 2, 5))
    expect(textOf(provider)).toBe('\u0001'.repeat(5))
    expect(textOf(connector)).toBe('\u0002'.repeat(5))
  })

  it('drop the oldest when the way out is blocked, and pause nobody', async () => {
    const { connector, provider, id } = await association()
    connector.far.hold()
    for (let index = 0; index < 200; index += 1) await provider.send(datagram(id, index))
    expect(provider.far.paused).toBe(false)
    connector.far.letGo()
    await settle()
    const got = connector.of(MessageType.Data).map((message) => message.data[0] ?? -1)
    expect(got.length).toBeLessThan(30)
    expect(got.at(-1)).toBe(199)
    expect([...got].sort((a, b) => a - b)).toEqual(got)
  })

  it('a Disconnect ends the association, one end is enough', async () => {
    const { world, connector, provider, id } = await association()
    await connector.send(disconnect(id, 'EOF'))
    expect(endingsOf(provider)).toEqual(['EOF'])
    await world.clock.advanceAsync(10_000)
    provider.clear()
    await provider.send(datagram(id, 1, 1))
    expect(endingsOf(provider)).toEqual(['unknown channel'])
  })
})
