import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { FLUSH_STALL_MS, LINGER_MS, READ_AHEAD_BYTES, TcpStream } from '../../../src/node/net/tcp-stream.js'
import { byteStreamContract } from '../../contract/byte-stream.js'
import { pattern } from '../../contract/pattern.js'
import { StreamRecorder } from '../../contract/stream-recorder.js'
import { ManualClock } from '../../support/manual-clock.js'
import { until, untilStill } from '../../support/wait.js'
import { socketPair, tcpStreamPair } from './sockets.js'

const reason = new LinkSocksError('ERR_CANCELLED', 'given up')
const MIB = 1024 * 1024

byteStreamContract('TcpStream', tcpStreamPair)

interface Ends {
  readonly stream: TcpStream
  readonly told: StreamRecorder
  readonly clock: ManualClock
  /** The socket under `stream`, and the peer's. */
  readonly own: Socket
  readonly peer: Socket
}

async function open(): Promise<Ends> {
  const [own, peer] = await socketPair()
  const clock = new ManualClock()
  const stream = new TcpStream(own, clock)
  peer.on('error', () => {})
  onTestFinished(() => {
    stream.terminate(reason)
    peer.destroy()
  })
  return { stream, told: new StreamRecorder(stream), clock, own, peer }
}

/** What the peer reads from now on. */
function readAll(peer: Socket): { bytes: number; ended: boolean; error: string | undefined } {
  const seen: { bytes: number; ended: boolean; error: string | undefined } = {
    bytes: 0,
    ended: false,
    error: undefined,
  }
  peer.on('data', (chunk: Buffer) => {
    seen.bytes += chunk.byteLength
  })
  peer.on('end', () => {
    seen.ended = true
  })
  peer.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = error.code
  })
  peer.resume()
  return seen
}

describe('TcpStream', () => {
  it('tells of bytes as they leave, not of all that was given to it at once', async () => {
    const { stream, told, peer } = await open()
    told.start()
    peer.pause()
    for (let part = 0; part < 48; part += 1) stream.write(new Uint8Array(MIB))
    await untilStill(() => told.written)
    expect(told.written).toBeLessThan(16 * MIB)
    let read = 0
    peer.on('data', (chunk: Buffer) => {
      read += chunk.byteLength
      if (read > 20 * MIB) peer.pause()
    })
    peer.resume()
    await until(() => told.written > 16 * MIB)
    await untilStill(() => told.written)
    expect(told.written).toBeLessThan(48 * MIB)
  })

  it('stops reading the socket when the consumer falls behind, and goes on below half', async () => {
    const { stream, told, peer } = await open()
    told.consuming = false
    told.start()
    peer.write(pattern(20 * MIB))
    await untilStill(() => told.received)
    const readAhead = told.received
    // the piece that crossed the line is delivered too
    expect(readAhead).toBeGreaterThan(READ_AHEAD_BYTES)
    expect(readAhead).toBeLessThanOrEqual(READ_AHEAD_BYTES + 256 * 1024)
    stream.consume(readAhead - READ_AHEAD_BYTES / 2)
    await untilStill(() => told.received)
    expect(told.received).toBe(readAhead)
    stream.consume(1)
    await until(() => told.received > readAhead)
  })

  it('reports a reset by the peer', async () => {
    const { told, peer } = await open()
    told.start()
    peer.resetAndDestroy()
    await until(() => told.closed)
    expect(told.closes[0]).toMatchObject({ code: 'ERR_STREAM_RESET', message: 'the other side reset the connection' })
  })

  it('reports a write that failed though the peer had ended and the end follows in the same tick', async () => {
    const { stream, told, peer } = await open()
    told.start()
    peer.resume()
    peer.end()
    await until(() => told.ends === 1 && peer.writableFinished)
    peer.resetAndDestroy()
    await untilStill(() => (peer.closed ? 1 : 0))
    stream.write(pattern(1_000))
    stream.end()
    await until(() => told.closed)
    expect(told.closes).toMatchObject([{ code: 'ERR_STREAM_RESET' }])
  })

  it('remembers a failure that came before start()', async () => {
    const { stream, told, own, peer } = await open()
    peer.resetAndDestroy()
    stream.write(pattern(10))
    await until(() => own.destroyed)
    told.start()
    expect(told.closed).toBe(false)
    await until(() => told.closed)
    expect(told.closes[0]).toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it('reports a socket that was destroyed under it', async () => {
    const { told, own } = await open()
    told.start()
    own.destroy()
    await until(() => told.closed)
    expect(told.closes[0]).toMatchObject({ code: 'ERR_STREAM_RESET', message: 'the connection was cut' })
  })

  it('resets at once though the peer reads nothing', async () => {
    const { stream, told, own, peer } = await open()
    told.start()
    stream.write(pattern(32 * MIB))
    await untilStill(() => told.written)
    stream.abort(reason)
    await until(() => own.destroyed)
    // a stream at the far side too: a plain socket may take a reset behind unread bytes for an end
    const far = new StreamRecorder(new TcpStream(peer))
    far.start()
    await until(() => far.closed)
    expect(far.ends).toBe(0)
    expect(far.closes[0]).toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it('never takes a reset behind unread bytes for an end, whichever side had ended before', async () => {
    for (const [bytes, endFirst] of [
      [1_000, false],
      [1_000, true],
      [3 * MIB, false],
      [3 * MIB, true],
    ] as const) {
      const { stream, told, peer } = await open()
      if (endFirst) stream.end()
      peer.resume()
      peer.write(pattern(bytes))
      await untilStill(() => peer.writableLength)
      peer.resetAndDestroy()
      told.start()
      await until(() => told.closed)
      expect([told.ends, told.closes[0]?.code]).toEqual([0, 'ERR_STREAM_RESET'])
    }
  })

  it('frees its socket when aborted in every stage of a shutdown', async () => {
    for (const turns of [0, 1, 2, 3]) {
      const { stream, told, own } = await open()
      told.start()
      stream.write(pattern(10))
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
      stream.end()
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => process.nextTick(resolve))
      stream.abort(reason)
      await until(() => own.closed)
      expect(told.closes).toEqual([reason])
    }
  })

  it('reads and throws away what a peer still sends after close(), so that it gets everything', async () => {
    const { stream, told, own, peer } = await open()
    told.start()
    peer.write(pattern(4 * MIB))
    stream.write(pattern(4 * MIB))
    stream.close()
    await untilStill(() => told.written)
    // only now does the peer begin to read: a kernel that had reset the connection would have thrown it away
    const seen = readAll(peer)
    await until(() => seen.ended)
    expect(seen).toEqual({ bytes: 4 * MIB, ended: true, error: undefined })
    expect(told.closes).toEqual([undefined])
    expect(own.destroyed).toBe(false)
    peer.end()
    await until(() => own.destroyed)
  })

  it('ends the lingering after its time when the peer never ends', async () => {
    const { stream, told, clock, own, peer } = await open()
    told.start()
    const seen = readAll(peer)
    stream.close()
    await until(() => told.closed && seen.ended)
    clock.advance(LINGER_MS - 1)
    expect(own.destroyed).toBe(false)
    clock.advance(1)
    expect(own.destroyed).toBe(true)
    expect(told.closes).toEqual([undefined])
  })

  it('leaves no timer behind', async () => {
    const { stream, told, clock, own, peer } = await open()
    told.start()
    stream.write(pattern(100))
    stream.close()
    peer.resume()
    peer.end()
    await new Promise((resolve) => own.once('close', resolve))
    expect(clock.pending).toBe(0)
  })

  it('lets a slow peer take its time after close(), and resets one that takes nothing for long', async () => {
    const { stream, told, clock, own, peer } = await open()
    told.start()
    for (let i = 0; i < 64; i++) stream.write(pattern(MIB))
    stream.close()
    await untilStill(() => told.written)
    clock.advance(FLUSH_STALL_MS - 1)
    const before = told.written
    peer.resume()
    await until(() => told.written > before)
    peer.pause()
    await untilStill(() => told.written)
    clock.advance(FLUSH_STALL_MS - 1)
    expect(told.closed).toBe(false)
    clock.advance(1)
    expect(told.closes[0]).toMatchObject({ code: 'ERR_STREAM_RESET', message: 'the other side stopped reading' })
    await until(() => own.destroyed)
  })

  it('lets a slow peer take its time where no handler was started again, too', async () => {
    const { stream, told, clock, own, peer } = await open()
    told.start()
    for (let i = 0; i < 64; i++) stream.write(pattern(MIB))
    stream.handBack([])
    stream.close()
    await untilStill(() => own.bytesWritten)
    clock.advance(FLUSH_STALL_MS - 1)
    const before = own.bytesWritten
    peer.resume()
    await until(() => own.bytesWritten > before)
    peer.pause()
    await untilStill(() => own.bytesWritten)
    clock.advance(FLUSH_STALL_MS - 1)
    expect(own.destroyed).toBe(false)
    clock.advance(1)
    await until(() => own.destroyed)
  })

  it('lets terminate() end the lingering without a reset', async () => {
    const { stream, told, own, peer } = await open()
    told.start()
    stream.write(pattern(MIB))
    stream.close()
    await until(() => told.closed)
    stream.terminate(reason)
    expect(own.destroyed).toBe(true)
    const seen = readAll(peer)
    await until(() => seen.ended)
    expect(seen).toEqual({ bytes: MIB, ended: true, error: undefined })
    expect(told.closes).toEqual([undefined])
  })
})
