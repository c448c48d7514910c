import { describe, expect, it } from 'vitest'
import { byteStreamContract } from '../contract/byte-stream.js'
import { settle } from './manual-clock.js'
import { collect, memoryStreamPair, TestPeer } from './memory-stream.js'

byteStreamContract('MemoryStream', async () => {
  const [a, b] = memoryStreamPair()
  return { a, b, settle }
})

byteStreamContract('MemoryStream in pieces', async () => {
  const [a, b] = memoryStreamPair({ chunkSize: 1500, readAheadBytes: 4000 })
  return { a, b, settle }
})

describe('MemoryStream', () => {
  it('splits its input at every byte', async () => {
    const [a, b] = memoryStreamPair({ chunkSize: 1 })
    const peer = new TestPeer(b)
    a.write(Uint8Array.of(1, 2, 3))
    await settle()
    expect(peer.events).toEqual(['data', 'data', 'data'])
    expect(peer.buffered).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('gives all it delivers to collect()', async () => {
    const [a, b] = memoryStreamPair({ chunkSize: 2 })
    a.write(Uint8Array.of(1, 2, 3))
    a.end()
    expect(await collect(b)).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('stops at the read-ahead of a reader that consumes nothing', async () => {
    const [a, b] = memoryStreamPair({ readAheadBytes: 10 })
    const writer = new TestPeer(a)
    const reader = new TestPeer(b, { consume: false })
    writer.write(new Uint8Array(25))
    await settle()
    expect([reader.receivedBytes, writer.writtenBytes, a.queued]).toEqual([10, 10, 15])
    b.consume(4)
    await settle()
    expect([reader.receivedBytes, writer.writtenBytes]).toEqual([14, 14])
  })
})
