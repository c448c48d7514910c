import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { type Decoded, HANDSHAKE_MESSAGE_BYTES, HandshakeStream } from '../../src/streams/handshake-stream.js'
import { pump } from '../../src/streams/pump.js'
import { byteStreamContract } from '../contract/byte-stream.js'
import { countListeners } from '../support/count-listeners.js'
import { settle } from '../support/manual-clock.js'
import { type MemoryStreamOptions, memoryStreamPair, TestPeer } from '../support/memory-stream.js'
import { bytesOf } from '../support/test-peer.js'

byteStreamContract('a released HandshakeStream', async () => {
  const [a, b] = memoryStreamPair({ chunkSize: 30_000 })
  return { a: new HandshakeStream(a).release(), b, settle }
})

byteStreamContract('a HandshakeStream released after its handshake', async () => {
  const [a, b] = memoryStreamPair({ chunkSize: 30_000 })
  const [near, far] = [new HandshakeStream(a), new HandshakeStream(b)]
  near.write(new Uint8Array(100))
  far.write(new Uint8Array(100))
  const word = (buf: Uint8Array) => (buf.length < 100 ? undefined : { value: buf, bytesRead: 100 })
  await Promise.all([near.read(word), far.read(word)])
  return { a: near.release(), b: far.release(), settle }
})

/** A length byte and so many characters. */
function decodeWord(buf: Uint8Array): Decoded<string> | undefined {
  const end = 1 + (buf[0] ?? 0)
  if (buf[0] === 0) throw new LinkSocksError('ERR_SOCKS_MALFORMED', 'empty word')
  return buf.length < end ? undefined : { value: new TextDecoder().decode(buf.subarray(1, end)), bytesRead: end }
}

function open(options?: MemoryStreamOptions, maxMessageBytes?: number) {
  const [near, far] = memoryStreamPair(options)
  const handshake = new HandshakeStream(near, maxMessageBytes === undefined ? {} : { maxMessageBytes })
  return { near, far, peer: new TestPeer(far), handshake }
}

describe('HandshakeStream', () => {
  it.each([1, 2, 3, 7, 1000])(
    'reads messages one after the other and keeps the rest, in pieces of %i bytes',
    async (chunkSize) => {
      const { peer, handshake } = open({ chunkSize })
      peer.write('\x05hello\x02you')
      peer.write('and the rest')
      peer.end()
      expect(await handshake.read(decodeWord)).toBe('hello')
      expect(await handshake.read(decodeWord)).toBe('yo')
      const rest = new TestPeer(handshake.release())
      expect(new TextDecoder().decode(await rest.readAll())).toBe('uand the rest')
    },
  )

  it('gives back the stream itself', async () => {
    const { near, peer, handshake } = open()
    const stream = handshake.release()
    expect(stream).toBe(near)
    const released = new TestPeer(stream)
    peer.write('x')
    await settle()
    expect([released.text, handshake.over]).toEqual(['x', false])
    await expect(handshake.read(decodeWord)).rejects.toMatchObject({ code: 'ERR_LIMIT' })
  })

  it('consumes what was read and leaves the rest to the released stream', async () => {
    const { peer, near, handshake } = open()
    peer.write('\x03abcearly')
    expect(await handshake.read(decodeWord)).toBe('abc')
    expect(near.unconsumed).toBe(5)
    const released = new TestPeer(handshake.release(), { consume: false })
    await settle()
    expect(released.text).toBe('early')
    expect(near.unconsumed).toBe(5)
    released.stream.consume(5)
    expect(near.unconsumed).toBe(0)
  })

  it('delivers nothing of what is left from inside start()', async () => {
    const { peer, handshake } = open()
    peer.write('\x01aearly')
    await handshake.read(decodeWord)
    const released = new TestPeer(handshake.release())
    expect(released.events).toEqual([])
    await settle()
    expect(released.events).toEqual(['data'])
  })

  it('keeps the order when more arrives between start() and the first delivery', async () => {
    const { peer, handshake } = open()
    peer.write('\x01a123')
    await handshake.read(decodeWord)
    const stream = handshake.release()
    peer.write('456')
    await settle()
    peer.write('789')
    const released = new TestPeer(stream)
    peer.write('0')
    await settle()
    expect(released.text).toBe('1234567890')
  })

  it('holds no more than the stream gives without consume()', async () => {
    const { peer, near, handshake } = open({ readAheadBytes: 1000 })
    peer.write('\x01a')
    await handshake.read(decodeWord)
    peer.write(new Uint8Array(5000))
    await settle()
    expect(near.unconsumed).toBe(1000)
    const released = new TestPeer(handshake.release())
    await released.until(() => released.receivedBytes === 5000)
  })

  it('rejects a message longer than the limit, and takes one of just that length', async () => {
    const fits = open({}, 10)
    fits.peer.write('\x09123456789')
    expect(await fits.handshake.read(decodeWord)).toBe('123456789')
    const long = open({}, 10)
    long.peer.write('\x0a1234567890')
    await expect(long.handshake.read(decodeWord)).rejects.toMatchObject({ code: 'ERR_LIMIT' })
  })

  it('bounds a message by default', async () => {
    const { peer, handshake } = open()
    const read = handshake.read(() => undefined)
    peer.write(new Uint8Array(HANDSHAKE_MESSAGE_BYTES - 1))
    await settle()
    peer.write(new Uint8Array(1))
    await expect(read).rejects.toMatchObject({ code: 'ERR_LIMIT' })
  })

  it('passes on what the decoder throws', async () => {
    const { peer, handshake } = open()
    const read = handshake.read(decodeWord)
    peer.write(Uint8Array.of(0))
    await expect(read).rejects.toMatchObject({ code: 'ERR_SOCKS_MALFORMED' })
  })

  it('rejects a waiting read when the far side half-closes, and still writes', async () => {
    const { peer, handshake } = open()
    const read = handshake.read(decodeWord)
    peer.write('\x05hel')
    peer.end()
    await expect(read).rejects.toMatchObject({ code: 'ERR_STREAM_RESET' })
    await expect(handshake.read(decodeWord)).rejects.toMatchObject({ code: 'ERR_STREAM_RESET' })
    handshake.write(bytesOf('sorry'))
    handshake.close()
    expect(await peer.readAll()).toEqual(bytesOf('sorry'))
    expect(await handshake.closed).toBeUndefined()
  })

  it('rejects a waiting read with the error the stream closed with', async () => {
    const { peer, handshake } = open()
    const read = handshake.read(decodeWord)
    peer.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await expect(read).rejects.toMatchObject({ code: 'ERR_STREAM_RESET' })
    expect(await handshake.closed).toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it('still reads what arrived before the far side ended', async () => {
    const { peer, handshake } = open()
    peer.write('\x02ab\x02cd')
    peer.end()
    await settle()
    expect(await handshake.read(decodeWord)).toBe('ab')
    expect(await handshake.read(decodeWord)).toBe('cd')
    await expect(handshake.read(decodeWord)).rejects.toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it('rejects a cancelled read, loses no byte and leaves no listener', async () => {
    const { peer, handshake } = open()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    peer.write('\x05hel')
    const read = handshake.read(decodeWord, { signal: controller.signal })
    await settle()
    expect(listeners()).toBe(1)
    controller.abort()
    await expect(read).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(listeners()).toBe(0)
    await expect(handshake.read(decodeWord, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
    peer.write('lo')
    expect(await handshake.read(decodeWord)).toBe('hello')
  })

  it('removes its listener when a read succeeds', async () => {
    const { peer, handshake } = open()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const read = handshake.read(decodeWord, { signal: controller.signal })
    peer.write('\x01a')
    await read
    expect(listeners()).toBe(0)
  })

  it('refuses a second read while one waits', async () => {
    const { peer, handshake } = open()
    const first = handshake.read(decodeWord)
    await expect(handshake.read(decodeWord)).rejects.toMatchObject({ code: 'ERR_LIMIT' })
    peer.write('\x01a')
    expect(await first).toBe('a')
  })

  it('reports written bytes of the released stream only', async () => {
    const [near, far] = memoryStreamPair({ chunkSize: 4 })
    const handshake = new HandshakeStream(near)
    handshake.write(bytesOf('handshake'))
    const released = new TestPeer(handshake.release())
    released.write('payload')
    const peer = new TestPeer(far)
    await peer.until(() => peer.text === 'handshakepayload')
    await settle()
    expect(released.writtenBytes).toBe(7)
  })

  it('tells a released stream about what happened before it was started', async () => {
    const { peer, handshake } = open()
    peer.write('\x01arest')
    peer.end()
    await handshake.read(decodeWord)
    handshake.end()
    const stream = handshake.release()
    await settle()
    const released = new TestPeer(stream)
    expect(await released.untilClosed()).toBeUndefined()
    expect(released.events).toEqual(['data', 'end', 'close'])
    expect(released.text).toBe('rest')
  })

  it('hands the error of an early close to the released stream', async () => {
    const { peer, handshake } = open()
    peer.write('\x01arest')
    await handshake.read(decodeWord)
    peer.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await settle()
    const released = new TestPeer(handshake.release())
    expect(await released.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    expect(released.events).toEqual(['data', 'error'])
  })

  it.each(['close', 'abort'] as const)('delivers nothing more after %s(), before and after start()', async (how) => {
    for (const startFirst of [true, false]) {
      const { peer, handshake } = open()
      peer.write('\x01arest')
      peer.end()
      await handshake.read(decodeWord)
      const stream = handshake.release()
      await settle()
      let released = startFirst ? new TestPeer(stream) : undefined
      if (how === 'close') stream.close()
      else stream.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
      released ??= new TestPeer(stream)
      await released.untilClosed()
      expect(released.events).toEqual([how === 'close' ? 'close' : 'error'])
    }
  })

  it('takes part in a pump in both directions', async () => {
    const { peer, handshake } = open({ chunkSize: 3 })
    const [exit, target] = memoryStreamPair({ chunkSize: 5 })
    const server = new TestPeer(target)
    peer.write('\x03getquestion')
    await handshake.read(decodeWord)
    handshake.write(bytesOf('ok:'))
    const closed = new Promise<void>((resolve) => pump(handshake.release(), exit, resolve))
    peer.end()
    expect(new TextDecoder().decode(await server.readAll())).toBe('question')
    server.write('answer')
    server.end()
    expect(new TextDecoder().decode(await peer.readAll())).toBe('ok:answer')
    expect(await peer.untilClosed()).toBeUndefined()
    await closed
  })
})
