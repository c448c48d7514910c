import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { EARLY_DATA_BYTES, INITIAL_WINDOW_BYTES, OPEN_TIMEOUT_MS } from '../../src/protocol/limits.js'
import { encodeConnectResponse, MessageType } from '../../src/protocol/messages.js'
import { countListeners } from '../support/count-listeners.js'
import { settle } from '../support/manual-clock.js'
import { TestPeer } from '../support/test-peer.js'
import { ScriptedPeer, success, TARGET } from './fixture.js'

const code = (expected: string) => expect.objectContaining({ code: expected })

describe('SessionDialer', () => {
  it('sends a Connect that offers stream control and waits for the answer', async () => {
    const peer = new ScriptedPeer()
    let dialled = false
    const dialling = peer.end.dialer().dial(TARGET)
    void dialling.then(() => {
      dialled = true
    })
    await settle()
    expect(peer.of(MessageType.Connect)).toMatchObject([
      { protocol: 1, target: TARGET, trailer: { streamControl: INITIAL_WINDOW_BYTES } },
    ])
    expect(dialled).toBe(false)
    await peer.send(success(peer.id, 100_000))
    await dialling
    expect(peer.clock.pending).toBe(2)
  })

  it.each([
    [{ error: 'whatever', trailer: { rep: 5 } }, 'ERR_DIAL_REFUSED'],
    [{ error: 'dial tcp: lookup x: no such host' }, 'ERR_DIAL_HOST_UNREACHABLE'],
    [{ error: '' }, 'ERR_DIAL_FAILED'],
  ])('fails as the answer %o says', async (failure, expected) => {
    const peer = new ScriptedPeer()
    const failed = expect(peer.end.dialer().dial(TARGET)).rejects.toThrow(code(expected))
    await settle()
    await peer.send(encodeConnectResponse({ success: false, channelId: peer.id, ...failure }))
    await failed
    expect([peer.end.session.channels, peer.disconnects]).toEqual([0, []])
  })

  it('gives up after 15 s and tells the far end', async () => {
    const peer = new ScriptedPeer()
    const dialling = peer.end.dialer().dial(TARGET)
    const failed = expect(dialling).rejects.toThrow(code('ERR_DIAL_TIMEOUT'))
    await peer.clock.advanceAsync(OPEN_TIMEOUT_MS - 1)
    expect(peer.disconnects).toEqual([])
    await peer.clock.advanceAsync(1)
    await failed
    expect(peer.disconnects).toHaveLength(1)
    expect(peer.end.session.channels).toBe(0)
    await peer.send(success(peer.id, 100_000))
    expect(peer.end.session.channels).toBe(0)
  })

  it.each(['dial', 'associate'] as const)('cancels %s(), tells the far end and leaves no listener', async (method) => {
    const peer = new ScriptedPeer()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const options = { signal: controller.signal }
    const dialer = peer.end.dialer()
    const waiting = method === 'dial' ? dialer.dial(TARGET, options) : dialer.associate(options)
    const failed = expect(waiting).rejects.toThrow(code('ERR_CANCELLED'))
    await settle()
    expect(listeners()).toBe(1)
    controller.abort()
    await failed
    await settle()
    expect([listeners(), peer.disconnects.length, peer.end.session.channels]).toEqual([0, 1, 0])
    await expect(dialer.dial(TARGET, options)).rejects.toThrow(code('ERR_CANCELLED'))
    await expect(dialer.associate(options)).rejects.toThrow(code('ERR_CANCELLED'))
    expect(peer.of(MessageType.Connect)).toHaveLength(1)
  })

  it('leaves no listener and no timer after an answer', async () => {
    const peer = new ScriptedPeer()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const before = peer.clock.pending
    const dialling = peer.end.dialer().dial(TARGET, { signal: controller.signal })
    await settle()
    await peer.send(success(peer.id))
    const stream = new TestPeer(await dialling)
    controller.abort()
    await settle()
    expect([listeners(), stream.closed, peer.clock.pending]).toEqual([0, false, before])
  })

  it('fails every wait when the session is lost, and every later one', async () => {
    const peer = new ScriptedPeer()
    const dialer = peer.end.dialer()
    const failed = [
      expect(dialer.dial(TARGET)).rejects.toThrow(code('ERR_LINK_LOST')),
      expect(dialer.associate()).rejects.toThrow(code('ERR_LINK_LOST')),
    ]
    await settle()
    peer.transport.cut()
    await Promise.all(failed)
    await expect(dialer.dial(TARGET)).rejects.toThrow(code('ERR_SESSION_CLOSED'))
    await expect(dialer.associate()).rejects.toThrow(code('ERR_SESSION_CLOSED'))
    expect(peer.clock.pending).toBe(0)
  })

  it.each([
    [{ host: '', port: 80 }, 'ERR_DIAL_ADDRESS'],
    [{ host: 'x'.repeat(256), port: 80 }, 'ERR_DIAL_ADDRESS'],
    [{ host: 'example.com', port: 70_000 }, 'ERR_MESSAGE_INVALID'],
  ])('leaves nothing behind when the target does not fit the wire: %o', async (target, expected) => {
    const peer = new ScriptedPeer()
    const before = peer.clock.pending
    await expect(peer.end.dialer().dial(target)).rejects.toThrow(code(expected))
    await settle()
    expect([peer.end.session.channels, peer.clock.pending]).toEqual([0, before])
    expect(peer.of(MessageType.Connect)).toEqual([])
  })
})

describe('SessionDialer with fast open', () => {
  it('gives the stream out at once and sends 64 KiB before the answer', async () => {
    const peer = new ScriptedPeer()
    const stream = new TestPeer(await peer.end.dialer(true).dial(TARGET))
    stream.write(new Uint8Array(100_000))
    await settle()
    expect([peer.of(MessageType.Connect).length, peer.data.byteLength]).toEqual([1, EARLY_DATA_BYTES])
    await peer.send(success(peer.id, EARLY_DATA_BYTES + 10))
    expect(peer.data.byteLength).toBe(EARLY_DATA_BYTES + 10)
  })

  it('keeps the end for the answer', async () => {
    const peer = new ScriptedPeer()
    const stream = new TestPeer(await peer.end.dialer(true).dial(TARGET))
    stream.write('hello')
    stream.end()
    await settle()
    expect([peer.data.byteLength, peer.frames, peer.disconnects]).toEqual([5, [], []])
    await peer.send(success(peer.id, 100_000))
    expect(peer.frames).toEqual([[2, 0, 0, 0, 0, 0, 0, 0, 5]])
  })

  it('flushes a close() made before the answer', async () => {
    const peer = new ScriptedPeer()
    const stream = new TestPeer(await peer.end.dialer(true).dial(TARGET))
    stream.write(new Uint8Array(100_000))
    stream.close()
    await settle()
    expect(stream.closed).toBe(false)
    await peer.send(success(peer.id, 200_000))
    expect(peer.data.byteLength).toBe(100_000)
    expect(peer.frames.at(-1)?.[0]).toBe(2)
  })

  it('tells a refusal and a time-out by the stream', async () => {
    const peer = new ScriptedPeer()
    const refused = new TestPeer(await peer.end.dialer(true).dial(TARGET))
    await settle()
    await peer.send(encodeConnectResponse({ success: false, channelId: peer.id, error: 'no', trailer: { rep: 5 } }))
    expect(refused.error).toMatchObject({ code: 'ERR_DIAL_REFUSED' })
    const late = new TestPeer(await peer.end.dialer(true).dial(TARGET))
    await peer.clock.advanceAsync(OPEN_TIMEOUT_MS)
    expect(late.error).toMatchObject({ code: 'ERR_DIAL_TIMEOUT' })
    expect(peer.end.session.channels).toBe(0)
  })

  it('is not touched by the signal once the stream is given out', async () => {
    const peer = new ScriptedPeer()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const stream = new TestPeer(await peer.end.dialer(true).dial(TARGET, { signal: controller.signal }))
    controller.abort()
    await settle()
    expect([stream.closed, listeners(), peer.disconnects]).toEqual([false, 0, []])
    stream.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await settle()
    expect(peer.disconnects).toHaveLength(1)
  })
})
