import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { BASE_READ_ON_BYTES, MAX_LINK_HELD_BYTES } from '../../../src/mux/flow/read-gate.js'
import type { Inflate } from '../../../src/ports.js'
import {
  BASE_CHANNEL_BUFFER_BYTES,
  BASE_LINGER_MS,
  BASE_LINK_BUFFER_BYTES,
  BASE_READ_PAUSE_MS,
  BASE_STALL_TIMEOUT_MS,
  KIB,
  LINK_TIMEOUT_MS,
  MIB,
} from '../../../src/protocol/limits.js'
import { Compression } from '../../../src/protocol/messages.js'
import { pattern } from '../../contract/pattern.js'
import { settle } from '../../support/manual-clock.js'
import { TestPeer } from '../../support/test-peer.js'
import { data, disconnect, endOfStream, inflate, ScriptedPeer, success, TARGET } from '../fixture.js'

const reason = new LinkSocksError('ERR_CANCELLED', 'given up')

/** A channel of ours towards a peer that does not know stream control. */
async function base(options: { readonly consume?: boolean; readonly inflate?: Inflate } = {}) {
  const peer = new ScriptedPeer(options.inflate === undefined ? {} : { inflate: options.inflate })
  const stream = await peer.dialled()
  return { peer, id: peer.id, local: new TestPeer(stream, { consume: options.consume ?? true }) }
}

/** Inflates when the test says. */
function manualInflate() {
  const jobs: (() => void)[] = []
  const waiting: Inflate = async (input, max) => {
    await new Promise<void>((resolve) => jobs.push(resolve))
    return inflate(input, max)
  }
  const run = async (): Promise<void> => {
    for (const job of jobs.splice(0)) job()
    await settle()
  }
  return { inflate: waiting, run }
}

const gzip = (bytes: Uint8Array): Uint8Array => new Uint8Array(gzipSync(bytes))

describe('Channel towards an old peer', () => {
  it('sends all it has, in messages of 256 KiB, without credit', async () => {
    const { peer, local } = await base()
    const bytes = pattern(2 * MIB)
    for (let i = 0; i < bytes.byteLength; i += 10_000) local.write(bytes.subarray(i, i + 10_000))
    await settle()
    expect(Buffer.compare(peer.data, bytes)).toBe(0)
    expect(Math.max(...peer.of(4).map((message) => message.data.byteLength))).toBe(256 * KIB)
    expect(local.writtenBytes).toBe(bytes.byteLength)
  })

  it('stops sending while the transport takes nothing, and reports only what left', async () => {
    const { peer, local } = await base()
    peer.transport.pause()
    for (let i = 0; i < 20; i += 1) local.write(new Uint8Array(256 * KIB))
    await settle()
    expect([local.writtenBytes, peer.end.transport.bufferedAmount]).toEqual([0, 256 * KIB + 24])
    peer.transport.resume()
    await settle()
    expect(local.writtenBytes).toBe(5 * MIB)
  })

  it.each([undefined, '', 'EOF'])('takes Disconnect %o as an orderly end and answers it', async (text) => {
    const { peer, id, local } = await base()
    await peer.send(data(id, Uint8Array.of(1, 2)), disconnect(id, text))
    expect([local.events, local.buffered]).toEqual([['data', 'end', 'close'], Uint8Array.of(1, 2)])
    expect([peer.disconnects, peer.end.session.channels]).toEqual([['EOF'], 0])
  })

  it('takes any other Disconnect as an abort', async () => {
    const { peer, id, local } = await base()
    await peer.send(data(id, Uint8Array.of(1, 2)), disconnect(id, 'read: connection reset by peer'))
    expect([local.events, local.error?.code]).toEqual([['data', 'error'], 'ERR_CHANNEL_RESET'])
    expect([peer.disconnects.length, peer.end.session.channels]).toEqual([1, 0])
  })

  it('takes an orderly Disconnect before the answer for the whole stream', async () => {
    const peer = new ScriptedPeer()
    const dialling = peer.end.dialer().dial(TARGET)
    await settle()
    await peer.send(data(peer.id, Uint8Array.of(1)), disconnect(peer.id))
    const local = new TestPeer(await dialling)
    expect([local.events, local.buffered]).toEqual([['data', 'end', 'close'], Uint8Array.of(1)])
  })

  it('takes a Disconnect with a text before the answer for a failed dial', async () => {
    const peer = new ScriptedPeer()
    const failed = expect(peer.end.dialer().dial(TARGET)).rejects.toMatchObject({ code: 'ERR_DIAL_REFUSED' })
    await settle()
    await peer.send(disconnect(peer.id, 'connection refused'))
    await failed
  })

  it('ignores control frames and never delivers them', async () => {
    const { peer, id, local } = await base()
    await peer.send(endOfStream(id, 77), data(id, Uint8Array.of(3, 4), Compression.Control))
    expect([local.events, peer.received.length]).toEqual([[], 1])
  })

  it('aborts with a Disconnect that carries a text, and no control frame', async () => {
    const { peer, local } = await base()
    local.write('x')
    local.abort(new LinkSocksError('ERR_STREAM_RESET', ''))
    await settle()
    expect([peer.disconnects, peer.frames, peer.end.session.channels]).toEqual([['aborted'], [], 0])
  })
})

describe('End of file towards an old peer', () => {
  it('sends Disconnect after the data and delivers for 5 s', async () => {
    const { peer, id, local } = await base()
    local.write('request')
    local.end()
    await settle()
    expect([new TextDecoder().decode(peer.data), peer.disconnects]).toEqual(['request', ['EOF']])
    await peer.clock.advanceAsync(3_000)
    await peer.send(data(id, Uint8Array.of(1, 2, 3)))
    expect(local.receivedBytes).toBe(3)
    await peer.clock.advanceAsync(BASE_LINGER_MS - 3_001)
    expect(local.closed).toBe(false)
    await peer.clock.advanceAsync(1)
    expect(local.events).toEqual(['data', 'end', 'close'])
    expect([peer.disconnects, peer.end.session.channels]).toEqual([['EOF'], 0])
  })

  it('ends at once when the far end answers', async () => {
    const { peer, id, local } = await base()
    local.end()
    await settle()
    await peer.send(data(id, Uint8Array.of(1)), disconnect(id, 'EOF'))
    expect([local.events, peer.disconnects]).toEqual([['data', 'end', 'close'], ['EOF']])
    expect(peer.clock.pending).toBe(2)
  })

  it('never ends a stream in order whose data was still coming', async () => {
    const { peer, id, local } = await base()
    local.end()
    for (let i = 0; i < 9; i += 1) {
      await peer.clock.advanceAsync(BASE_LINGER_MS / 10)
      await peer.send(data(id, Uint8Array.of(1)))
    }
    await peer.clock.advanceAsync(BASE_LINGER_MS / 10)
    expect([local.ended, local.closed, local.error?.code]).toEqual([false, true, 'ERR_CANCELLED'])
  })

  it('closes in order after 5 s where nobody listens any more', async () => {
    const { peer, id, local } = await base()
    local.write('bye')
    local.close()
    await peer.send(data(id, Uint8Array.of(1)))
    await peer.clock.advanceAsync(BASE_LINGER_MS - 1)
    await peer.send(data(id, Uint8Array.of(1)))
    expect(local.events).toEqual([])
    await peer.clock.advanceAsync(1)
    expect([local.events, peer.data.byteLength, peer.end.session.heldBytes]).toEqual([['close'], 3, 0])
  })

  it('keeps the 5 s for after the last queued byte', async () => {
    const { peer, local } = await base()
    peer.transport.pause()
    for (let i = 0; i < 20; i += 1) local.write(new Uint8Array(256 * KIB))
    local.end()
    await peer.clock.advanceAsync(4 * BASE_LINGER_MS)
    expect(local.closed).toBe(false)
    peer.transport.resume()
    await settle()
    expect([peer.data.byteLength, local.closed]).toEqual([5 * MIB, false])
    await peer.clock.advanceAsync(BASE_LINGER_MS)
    expect(local.closed).toBe(true)
  })
})

describe('Slow reader of an old peer', () => {
  async function filled(bytes: number, message = 256 * KIB) {
    const all = await base({ consume: false })
    const one = data(all.id, new Uint8Array(message))
    for (let sent = 0; sent < bytes; sent += message) all.peer.transport.send(one)
    await settle()
    return all
  }

  it('gets 4 MiB, then the link is not read for 2 s after each 4 MiB more; nothing is lost', async () => {
    const { peer, local } = await filled(12 * MIB)
    const { transport } = peer.end
    expect([transport.paused, local.receivedBytes]).toEqual([true, BASE_CHANNEL_BUFFER_BYTES + 256 * KIB])
    await peer.clock.advanceAsync(BASE_READ_PAUSE_MS)
    const more = BASE_CHANNEL_BUFFER_BYTES + 256 * KIB + BASE_READ_ON_BYTES
    expect([transport.paused, local.receivedBytes]).toEqual([true, more])
    local.stream.consume(local.receivedBytes)
    await settle()
    expect([transport.paused, local.receivedBytes]).toEqual([false, 12 * MIB])
    expect(peer.end.closes).toEqual([])
  })

  it('is aborted with an error when it accepts nothing for 30 s, alone', async () => {
    const { peer, local } = await filled(BASE_CHANNEL_BUFFER_BYTES + 1)
    const other = new TestPeer(
      await (async () => {
        const dialling = peer.end.dialer().dial(TARGET)
        await settle()
        peer.transport.send(success(peer.id))
        await peer.clock.advanceAsync(BASE_READ_PAUSE_MS)
        return dialling
      })(),
    )
    await peer.clock.advanceAsync(BASE_STALL_TIMEOUT_MS - BASE_READ_PAUSE_MS - 1)
    expect(local.closed).toBe(false)
    await peer.clock.advanceAsync(1)
    expect(local.error).toMatchObject({ code: 'ERR_CHANNEL_RESET' })
    expect([local.ended, other.closed, peer.end.session.heldBytes, peer.disconnects.length]).toEqual([
      false,
      false,
      0,
      1,
    ])
  })

  it('lives while it accepts a little now and then', async () => {
    const { peer, local } = await filled(BASE_CHANNEL_BUFFER_BYTES + 1)
    for (let i = 0; i < 20; i += 1) {
      await peer.clock.advanceAsync(BASE_STALL_TIMEOUT_MS / 2)
      local.stream.consume(1)
    }
    expect(local.closed).toBe(false)
  })

  it('is aborted when it accepts too little to ever catch up', async () => {
    const { peer, id, local } = await base({ consume: false })
    const message = data(id, new Uint8Array(4 * MIB))
    for (let sent = 0; sent <= 2 * MAX_LINK_HELD_BYTES && !local.closed; sent += 4 * MIB) {
      peer.transport.send(message)
      await peer.clock.advanceAsync(BASE_READ_PAUSE_MS)
      local.stream.consume(1)
    }
    expect(local.error).toMatchObject({ code: 'ERR_LIMIT' })
    expect([peer.end.session.heldBytes, peer.end.closes]).toEqual([0, []])
  })

  it('does not let the link die while it is not read', async () => {
    const { peer, id, local } = await filled(BASE_CHANNEL_BUFFER_BYTES + 1)
    const message = data(id, new Uint8Array(BASE_READ_ON_BYTES))
    for (let i = 0; i * BASE_READ_PAUSE_MS < 2 * LINK_TIMEOUT_MS; i += 1) {
      peer.transport.send(message)
      await peer.clock.advanceAsync(BASE_READ_PAUSE_MS)
      local.stream.consume(BASE_READ_ON_BYTES)
    }
    expect([peer.end.closes, peer.end.transport.paused, local.closed]).toEqual([[], true, false])
  })

  it('counts together with the others of its link', async () => {
    const peer = new ScriptedPeer()
    const readers: TestPeer[] = []
    for (let i = 0; i < 9; i += 1) {
      readers.push(new TestPeer(await peer.dialled(), { consume: false }))
      await peer.send(data(peer.id, new Uint8Array(BASE_CHANNEL_BUFFER_BYTES)))
      expect(peer.end.transport.paused).toBe((i + 1) * BASE_CHANNEL_BUFFER_BYTES > BASE_LINK_BUFFER_BYTES)
    }
    readers[0]?.stream.consume(BASE_CHANNEL_BUFFER_BYTES)
    expect(peer.end.transport.paused).toBe(false)
  })

  it.each(['close', 'abort'] as const)(
    'holds nothing any more once its own side does %s() after the end',
    async (method) => {
      const { peer, id, local } = await filled(MIB)
      await peer.send(disconnect(id, 'EOF'))
      expect([local.events.at(-1), peer.end.session.heldBytes]).toEqual(['close', MIB])
      local.stream[method](reason)
      expect(peer.end.session.heldBytes).toBe(0)
      local.stream.consume(MIB)
      expect(peer.end.session.heldBytes).toBe(0)
    },
  )

  it('gets what was queued before the far end left, at its own pace', async () => {
    const { peer, id, local } = await filled(MIB)
    await peer.send(disconnect(id, 'EOF'))
    await peer.clock.advanceAsync(10 * BASE_STALL_TIMEOUT_MS)
    expect([local.receivedBytes, peer.end.session.heldBytes]).toEqual([MIB, MIB])
    local.stream.consume(MIB)
    expect(peer.end.session.heldBytes).toBe(0)
  })
})

describe('Gzip data of an old peer', () => {
  it('stays in order with what follows, the end too', async () => {
    const { inflate: waiting, run } = manualInflate()
    const { peer, id, local } = await base({ inflate: waiting })
    const bytes = pattern(30_000)
    await peer.send(
      data(id, bytes.subarray(0, 100)),
      data(id, gzip(bytes.subarray(100, 20_000)), Compression.Gzip),
      data(id, bytes.subarray(20_000, 25_000)),
      data(id, gzip(bytes.subarray(25_000)), Compression.Gzip),
      disconnect(id, 'EOF'),
    )
    expect([local.receivedBytes, local.events]).toEqual([100, ['data']])
    await run()
    expect(local.receivedBytes).toBe(25_000)
    await run()
    expect(Buffer.compare(local.buffered, bytes)).toBe(0)
    expect(local.events.slice(-2)).toEqual(['end', 'close'])
  })

  it('aborts its channel alone when it is broken', async () => {
    const { peer, id, local } = await base()
    const other = new TestPeer(await peer.dialled())
    await peer.send(data(id, pattern(100), Compression.Gzip), data(peer.id, Uint8Array.of(1)))
    expect(await local.untilClosed()).toMatchObject({ code: 'ERR_MESSAGE_INVALID' })
    expect([other.receivedBytes, other.closed, peer.end.closes]).toEqual([1, false, []])
  })

  it('says nothing when it comes out after the channel is gone', async () => {
    const { inflate: waiting, run } = manualInflate()
    const { peer, id, local } = await base({ inflate: waiting })
    await peer.send(data(id, gzip(pattern(100)), Compression.Gzip))
    local.abort(reason)
    await run()
    expect([local.receivedBytes, local.events, peer.end.session.heldBytes]).toEqual([0, ['error'], 0])
  })

  it('stops the reading of the link while much of it waits', async () => {
    const { inflate: waiting, run } = manualInflate()
    const { peer, id, local } = await base({ inflate: waiting })
    await peer.send(data(id, gzip(pattern(1)), Compression.Gzip))
    for (let i = 0; i < 6; i += 1) await peer.send(data(id, new Uint8Array(MIB)))
    expect([peer.end.transport.paused, local.closed]).toEqual([true, false])
    await run()
    await peer.clock.advanceAsync(BASE_READ_PAUSE_MS)
    expect([local.receivedBytes, peer.end.transport.paused]).toEqual([6 * MIB + 1, false])
  })
})
