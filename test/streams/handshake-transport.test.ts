import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import {
  HandshakeTransport,
  MAX_HANDSHAKE_BYTES,
  MAX_HANDSHAKE_MESSAGES,
} from '../../src/streams/handshake-transport.js'
import { TransportRecorder } from '../contract/transport-recorder.js'
import { countListeners } from '../support/count-listeners.js'
import { settle } from '../support/manual-clock.js'
import { memoryTransportPair } from '../support/memory-transport.js'

function setUp() {
  const [near, far] = memoryTransportPair()
  const atFar = new TransportRecorder()
  far.start(atFar)
  return { near, far, atFar, handshake: new HandshakeTransport(near) }
}

const bytes = (messages: readonly Uint8Array[]) => messages.map((message) => message[0])

describe('HandshakeTransport', () => {
  it('reads messages one by one, waiting for those to come', async () => {
    const { far, handshake } = setUp()
    far.send(Uint8Array.of(1))
    expect(await handshake.next()).toEqual(Uint8Array.of(1))
    const waiting = handshake.next()
    await settle()
    far.send(Uint8Array.of(2))
    expect(await waiting).toEqual(Uint8Array.of(2))
  })

  it('hands the transport on with what was not read, in order', async () => {
    const { far, handshake } = setUp()
    for (let i = 1; i <= 4; i += 1) far.send(Uint8Array.of(i))
    await handshake.next()
    await settle()
    const told = new TransportRecorder()
    handshake.release().start(told)
    far.send(Uint8Array.of(5))
    await settle()
    expect(bytes(told.messages)).toEqual([2, 3, 4, 5])
    expect(told.activities).toBeGreaterThan(0)
  })

  it('gives back the transport itself, which no longer reports to it', async () => {
    const { near, far, handshake } = setUp()
    const released = handshake.release()
    expect(released).toBe(near)
    const told = new TransportRecorder()
    released.start(told)
    far.send(Uint8Array.of(1))
    await settle()
    expect(bytes(told.messages)).toEqual([1])
    const cancelled = new AbortController()
    const next = handshake.next({ signal: cancelled.signal })
    cancelled.abort()
    await expect(next).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })

  it('sends, pings and closes through what it released', async () => {
    const { near, atFar, handshake } = setUp()
    const released = handshake.release()
    const told = new TransportRecorder()
    released.start(told)
    released.send(Uint8Array.of(7), Uint8Array.of(8))
    expect(released.bufferedAmount).toBe(near.bufferedAmount)
    released.ping()
    released.pong()
    released.close(1000, 'done')
    await settle()
    expect(atFar.messages).toEqual([Uint8Array.of(7, 8)])
    expect(atFar.closes).toMatchObject([{ code: 1000, reason: 'done' }])
    expect(told.closes).toHaveLength(1)
  })

  it('gives what arrived before the close, then fails', async () => {
    const { far, handshake } = setUp()
    far.send(Uint8Array.of(1))
    far.close(1013, 'later')
    await settle()
    expect(await handshake.next()).toEqual(Uint8Array.of(1))
    for (let i = 0; i < 2; i += 1) await expect(handshake.next()).rejects.toMatchObject({ code: 'ERR_LINK_LOST' })
  })

  it('fails a wait when the transport is lost, with its error', async () => {
    const { far, handshake } = setUp()
    const waiting = handshake.next()
    far.cut(new LinkSocksError('ERR_MESSAGE_TOO_LARGE', 'too large'))
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE' })
  })

  it('tells a close once to whom it was released, late or not', async () => {
    const early = setUp()
    early.far.abort()
    await settle()
    const told = new TransportRecorder()
    early.handshake.release().start(told)
    await settle()
    expect(told.closes).toHaveLength(1)

    const inside = setUp()
    inside.far.send(Uint8Array.of(1))
    inside.far.send(Uint8Array.of(2))
    await settle()
    const recorder = new TransportRecorder()
    const released = inside.handshake.release()
    released.start({
      message: () => released.abort(),
      activity: () => {},
      drain: () => {},
      close: (info) => recorder.close(info),
    })
    await settle()
    expect(recorder.closes).toHaveLength(1)
  })

  it('cancels a wait and leaves no listener, whatever ends it', async () => {
    const { far, handshake } = setUp()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const read = handshake.next({ signal: controller.signal })
    await settle()
    expect(listeners()).toBe(1)
    far.send(Uint8Array.of(1))
    await read
    expect(listeners()).toBe(0)
    const cancelled = handshake.next({ signal: controller.signal })
    const reason = new LinkSocksError('ERR_AUTH_TIMEOUT', 'too slow')
    controller.abort(reason)
    await expect(cancelled).rejects.toBe(reason)
    expect(listeners()).toBe(0)
    await expect(handshake.next({ signal: controller.signal })).rejects.toBe(reason)
    far.send(Uint8Array.of(2))
    expect(await handshake.next()).toEqual(Uint8Array.of(2))
  })

  it('stops reading when too much waits, and loses nothing', async () => {
    const { near, far, handshake } = setUp()
    const count = MAX_HANDSHAKE_MESSAGES + 50
    for (let i = 0; i < count; i += 1) far.send(Uint8Array.of(i))
    await settle()
    expect([near.paused, far.queuedFrames]).toEqual([true, 50])
    expect(await handshake.next()).toEqual(Uint8Array.of(0))
    expect(near.paused).toBe(true)
    const told = new TransportRecorder()
    handshake.release().start(told)
    await settle()
    expect(bytes(told.messages)).toEqual(Array.from({ length: count - 1 }, (_, i) => i + 1))
    expect(near.paused).toBe(false)
  })

  it('stops reading when too many bytes wait, and reads on when they are taken', async () => {
    const { near, far, handshake } = setUp()
    for (const size of [MAX_HANDSHAKE_BYTES - 1, 1, 2]) far.send(new Uint8Array(size))
    await settle()
    expect([near.paused, far.queuedFrames]).toEqual([true, 1])
    await handshake.next()
    await handshake.next()
    expect(near.paused).toBe(false)
    expect(await handshake.next()).toHaveLength(2)
    // what was taken counts no more
    far.send(new Uint8Array(MAX_HANDSHAKE_BYTES - 1))
    await settle()
    expect(near.paused).toBe(false)
  })

  it('says when the transport has closed, also to who asks afterwards', async () => {
    const asked = setUp()
    const { gone } = asked.handshake
    expect(gone.aborted).toBe(false)
    asked.far.abort()
    await settle()
    expect(gone.aborted).toBe(true)
    const late = setUp()
    late.far.abort()
    await settle()
    expect(late.handshake.gone.aborted).toBe(true)
  })

  it('reads on for a reader that takes all that waited', async () => {
    const { near, far, handshake } = setUp()
    const count = 3 * MAX_HANDSHAKE_MESSAGES
    for (let i = 0; i < count; i += 1) far.send(Uint8Array.of(i))
    await settle()
    expect(near.paused).toBe(true)
    for (let i = 0; i < count; i += 1) expect(await handshake.next()).toEqual(Uint8Array.of(i))
  })

  it('closes and aborts the transport under it', async () => {
    const one = setUp()
    one.handshake.send(Uint8Array.of(9))
    one.handshake.close(1008, 'no')
    await settle()
    expect(one.atFar.messages).toEqual([Uint8Array.of(9)])
    expect(one.atFar.closes).toMatchObject([{ code: 1008, reason: 'no' }])
    const other = setUp()
    other.handshake.abort()
    await settle()
    expect(other.atFar.closes).toMatchObject([{ code: 1006 }])
  })
})
