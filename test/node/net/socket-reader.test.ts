import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SocketReader } from '../../../src/node/net/socket-reader.js'
import { KIB, MIB } from '../../../src/protocol/limits.js'
import { pattern } from '../../contract/pattern.js'
import { until, untilStill } from '../../support/wait.js'
import { socketPair, tlsPair } from './sockets.js'

interface Reading {
  readonly reader: SocketReader
  readonly own: Socket
  readonly peer: Socket
  /** Copies of what was read. */
  readonly chunks: Buffer[]
  readonly bytes: () => Buffer
  readonly events: string[]
  /** Resets the connection from the peer's side. */
  readonly reset: () => void
}

/** How it is read, and what the socket is. */
interface Kind {
  readonly fresh: boolean
  /** Which end of a TLS connection is read. @default no TLS */
  readonly tls?: 'client' | 'server'
}

interface Setting extends Kind {
  readonly early?: Uint8Array
  /** Sees the sockets before there is a reader. */
  readonly before?: (own: Socket, peer: Socket) => unknown
  readonly onRead?: (reading: Reading) => void
}

async function socketsOf({ tls }: Kind): Promise<[own: Socket, peer: Socket, below: Socket]> {
  if (tls === undefined) {
    const [own, peer] = await socketPair()
    return [own, peer, peer]
  }
  const { client, server, raw } = await tlsPair()
  return tls === 'client' ? [client, server, raw.server] : [server, client, raw.client]
}

async function setUp({ early, before, onRead, ...kind }: Setting): Promise<Reading> {
  const { fresh } = kind
  const [own, peer, below] = await socketsOf(kind)
  onTestFinished(() => {
    own.destroy()
    peer.destroy()
  })
  peer.on('error', () => {})
  await before?.(own, peer)
  const chunks: Buffer[] = []
  const events: string[] = []
  own.on('end', () => events.push(`end after ${reading.bytes().byteLength}`))
  own.on('error', (error: NodeJS.ErrnoException) => events.push(error.code ?? ''))
  own.on('close', () => events.push('close'))
  const take = (bytes: Uint8Array): void => {
    chunks.push(Buffer.from(bytes))
    onRead?.(reading)
  }
  const reader = new SocketReader(own, take, { fresh, early })
  const bytes = (): Buffer => Buffer.concat(chunks)
  const reading: Reading = { reader, own, peer, chunks, bytes, events, reset: () => void below.resetAndDestroy() }
  return reading
}

const still = (reading: Reading): Promise<void> => untilStill(() => reading.bytes().byteLength + reading.events.length)
const text = (reading: Reading): string => reading.bytes().toString()
const whole = (reading: Reading, bytes: Uint8Array): boolean =>
  reading.bytes().byteLength >= bytes.byteLength && Buffer.compare(reading.bytes(), bytes) === 0

const KINDS: readonly (readonly [name: string, kind: Kind])[] = [
  ['shared memory', { fresh: false }],
  ['fresh memory', { fresh: true }],
  ['shared memory, of a TLS client', { fresh: false, tls: 'client' }],
  ['shared memory, of a TLS server', { fresh: false, tls: 'server' }],
]

describe.each(KINDS)('SocketReader with %s', (_name, kind) => {
  it('reads nothing before resume(), and loses nothing', async () => {
    const reading = await setUp(kind)
    const { reader, peer } = reading
    peer.end('hello')
    await still(reading)
    expect([reading.chunks, reading.events]).toEqual([[], []])
    reader.resume()
    await until(() => reading.events.length > 0)
    expect([text(reading), reading.events[0]]).toEqual(['hello', 'end after 5'])
  })

  it('tells of an end that came before resume() only then', async () => {
    const reading = await setUp(kind)
    reading.peer.end()
    await still(reading)
    expect(reading.events).toEqual([])
    reading.reader.resume()
    await until(() => reading.events.includes('end after 0'))
  })

  it('begins with the early bytes, then what the socket had buffered, then the rest', async () => {
    const reading = await setUp({
      ...kind,
      early: Buffer.from('1'),
      before: async (own, peer) => {
        peer.write('2')
        own.read(0)
        await until(() => own.readableLength > 0)
      },
    })
    reading.peer.write('3')
    reading.reader.resume()
    expect(reading.chunks).toEqual([])
    await until(() => text(reading).length === 3)
    expect(text(reading)).toBe('123')
  })

  it('keeps the order of bytes and an end that Node had read before', async () => {
    const reading = await setUp({
      ...kind,
      early: Buffer.from('1'),
      before: async (own, peer) => {
        peer.end('2')
        own.read(0)
        await untilStill(() => own.readableLength)
      },
    })
    await still(reading)
    expect(reading.events).toEqual([])
    reading.reader.resume()
    await until(() => reading.events.length > 0)
    expect([text(reading), reading.events[0]]).toEqual(['12', 'end after 2'])
  })

  it('has the early bytes for itself', async () => {
    const early = Buffer.from('early')
    const reading = await setUp({ ...kind, early })
    early.fill(0)
    reading.reader.resume()
    await until(() => text(reading) === 'early')
  })

  it('takes bytes that were put back into the socket', async () => {
    const reading = await setUp({ ...kind, before: (own) => own.unshift(Buffer.from('back')) })
    reading.reader.resume()
    reading.peer.write(' and on')
    await until(() => text(reading) === 'back and on')
  })

  it('stops at pause() and goes on at resume(), from whatever state', async () => {
    const reading = await setUp(kind)
    const { reader, peer } = reading
    const bytes = pattern(3 * MIB)
    reader.pause()
    reader.resume()
    reader.resume()
    peer.end(bytes)
    while (!whole(reading, bytes)) {
      await until(() => true)
      reader.pause()
      reader.pause()
      const before = reading.bytes().byteLength
      for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve))
      expect(reading.bytes().byteLength).toBe(before)
      reader.resume()
      reader.pause()
      reader.resume()
      reader.resume()
      await until(() => reading.bytes().byteLength > before || whole(reading, bytes))
    }
    await until(() => reading.events.length > 0)
    expect(reading.events[0]).toBe(`end after ${3 * MIB}`)
  })

  it('can be paused from within, and gives nothing more, early bytes neither', async () => {
    const reading = await setUp({
      ...kind,
      early: Buffer.from('early'),
      before: async (own, peer) => {
        peer.write(pattern(2 * MIB))
        own.read(0)
        await until(() => own.readableLength > 0)
      },
      onRead: ({ reader }) => reader.pause(),
    })
    let rounds = 0
    for (; reading.bytes().byteLength < 5 + 2 * MIB; rounds += 1) {
      reading.reader.resume()
      await until(() => reading.chunks.length === rounds + 1)
      for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve))
      expect(reading.chunks.length).toBe(rounds + 1)
    }
    expect(Buffer.compare(reading.bytes().subarray(5), pattern(2 * MIB))).toBe(0)
    expect(rounds).toBeGreaterThan(2)
  })

  it('tells of an end after all bytes, though it is paused at the first and they come together', async () => {
    const reading = await setUp({ ...kind, onRead: ({ reader, chunks }) => void (chunks.length < 3 && reader.pause()) })
    for (const piece of ['a', 'b', 'c', 'd']) reading.peer.write(piece)
    reading.peer.end('e')
    // with TLS each of them is decrypted on its own, and the end with them
    await still(reading)
    reading.reader.resume()
    await until(() => reading.chunks.length > 0)
    await still(reading)
    while (reading.events.length === 0) {
      reading.reader.resume()
      await still(reading)
    }
    expect([text(reading), reading.events[0]]).toEqual(['abcde', 'end after 5'])
  })

  it('can be paused and resumed from within, any number of times', async () => {
    const reading = await setUp({
      ...kind,
      early: Buffer.from('early'),
      onRead: ({ reader, chunks }) => {
        reader.pause()
        reader.resume()
        reader.resume()
        if (chunks.length % 2 === 0) return
        reader.pause()
        setImmediate(() => reader.resume())
      },
    })
    reading.peer.end(pattern(2 * MIB))
    reading.reader.resume()
    await until(() => reading.events.length > 0)
    expect(reading.events[0]).toBe(`end after ${5 + 2 * MIB}`)
    expect(Buffer.compare(reading.bytes().subarray(5), pattern(2 * MIB))).toBe(0)
  })

  it('can be destroyed from within, and gives nothing more', async () => {
    const reading = await setUp({ ...kind, onRead: ({ own }) => void own.destroy() })
    reading.reader.resume()
    reading.peer.write(pattern(MIB))
    await until(() => reading.events.includes('close'))
    expect(reading.chunks.length).toBe(1)
    reading.reader.resume()
    reading.reader.pause()
    reading.reader.resume()
    await still(reading)
    expect([reading.chunks.length, reading.events]).toEqual([1, ['close']])
  })

  it('sees a reset, while it reads and when it goes on', async () => {
    for (const paused of [false, true]) {
      const reading = await setUp(kind)
      reading.reader.resume()
      reading.peer.write('last')
      await until(() => text(reading) === 'last')
      if (paused) reading.reader.pause()
      reading.reset()
      await still(reading)
      reading.reader.resume()
      await until(() => reading.events.length === 2)
      expect(reading.events).toEqual(['ECONNRESET', 'close'])
    }
  })

  it('goes on reading and writing when the peer has ended', async () => {
    const reading = await setUp(kind)
    let back = ''
    reading.peer.on('data', (chunk) => {
      back += String(chunk)
    })
    reading.reader.resume()
    reading.peer.resume()
    reading.peer.end('question')
    await until(() => reading.events.length > 0)
    reading.own.end('answer')
    await until(() => back === 'answer')
    expect([text(reading), reading.events[0]]).toEqual(['question', 'end after 8'])
  })

  it('keeps 20 connections apart that are read at once', async () => {
    const readings = await Promise.all(Array.from({ length: 20 }, () => setUp(kind)))
    const sent = readings.map((_, i) => pattern(MIB + i * 10_007, i))
    readings.forEach(({ reader, peer, own }, i) => {
      own.on('end', () => {})
      reader.resume()
      // pieces of every size, all connections in turn
      const bytes = sent[i] ?? new Uint8Array(0)
      for (let at = 0; at < bytes.byteLength; at += 37_000 + i) peer.write(bytes.subarray(at, at + 37_000 + i))
      peer.end()
      if (i % 3 === 0) {
        reader.pause()
        setTimeout(() => reader.resume(), i)
      }
    })
    await until(() => readings.every(({ events }) => events.length > 0))
    const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
    expect(readings.map((reading) => digest(reading.bytes()))).toEqual(sent.map(digest))
  })
})

describe('SocketReader', () => {
  it('stops what Node reads by itself: an end is told of after resume() alone', async () => {
    const reading = await setUp({ fresh: false, before: (own) => void own.read(0) })
    reading.peer.end()
    await still(reading)
    expect(reading.events).toEqual([])
    reading.reader.resume()
    await until(() => reading.events.includes('end after 0'))
  })

  it('reads sockets into memory that all of them share, with TLS and without', async () => {
    const memory = new Set<ArrayBufferLike>()
    for (const kind of [{}, {}, { tls: 'client' }, { tls: 'server' }] as const) {
      const [own, peer] = await socketsOf({ fresh: false, ...kind })
      peer.on('error', () => {})
      let received = 0
      const reader = new SocketReader(own, (bytes) => {
        memory.add(bytes.buffer)
        received += bytes.byteLength
      })
      reader.resume()
      peer.write(pattern(600 * KIB))
      await until(() => received === 600 * KIB)
      own.destroy()
      peer.destroy()
    }
    expect(memory.size).toBe(1)
  })
})
