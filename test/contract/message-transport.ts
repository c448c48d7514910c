import { afterEach, describe, expect, it } from 'vitest'
import type { MessageTransport } from '../../src/ports.js'
import { until, untilStill } from '../support/wait.js'
import { describeHandBack, type TransportPair } from './message-transport-hand-back.js'
import { TransportRecorder } from './transport-recorder.js'

/** A turn of the event loop, timers and I/O included. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i += 1) await turn()
}

function filled(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + seed) & 0xff
  return bytes
}

/** What every MessageTransport does; `makePair` gives two ends that are connected and not started. */
export function messageTransportContract(name: string, makePair: () => Promise<TransportPair> | TransportPair): void {
  describe(`${name} as a MessageTransport`, () => {
    const pairs: TransportPair[] = []

    async function pair(): Promise<TransportPair> {
      const made = await makePair()
      pairs.push(made)
      return made
    }

    async function startedPair() {
      const { a, b } = await pair()
      const [atA, atB] = [new TransportRecorder(), new TransportRecorder()]
      a.start(atA)
      b.start(atB)
      return { a, b, atA, atB }
    }

    afterEach(async () => {
      for (const made of pairs.splice(0)) await made.cleanup()
    })

    describeMessages(startedPair, pair)
    describePausing(startedPair, pair)
    describeClosing(startedPair, pair)
    describeHandBack(pair)
  })
}

type Started = () => Promise<{
  a: MessageTransport
  b: MessageTransport
  atA: TransportRecorder
  atB: TransportRecorder
}>

function describeMessages(startedPair: Started, pair: () => Promise<TransportPair>): void {
  it('delivers messages in order, both ways, with head and body joined', async () => {
    const { a, b, atA, atB } = await startedPair()
    for (let i = 0; i < 50; i += 1) {
      a.send(Uint8Array.of(i, 1), filled(i * 97, i))
      b.send(Uint8Array.of(i, 2))
    }
    await atB.until(() => atB.messages.length === 50)
    await atA.until(() => atA.messages.length === 50)
    atB.messages.forEach((message, i) => {
      expect(Buffer.compare(message, Buffer.concat([Buffer.of(i, 1), filled(i * 97, i)]))).toBe(0)
    })
    atA.messages.forEach((message, i) => {
      expect(Array.from(message)).toEqual([i, 2])
    })
  })

  it('carries an empty body and large messages whole', async () => {
    const { a, atB } = await startedPair()
    const body = filled(3_000_000, 7)
    a.send(Uint8Array.of(1), new Uint8Array(0))
    a.send(Uint8Array.of(2), body)
    await atB.until(() => atB.messages.length === 2)
    expect(Array.from(atB.messages[0] ?? [])).toEqual([1])
    expect(atB.messages[1]?.byteLength).toBe(body.byteLength + 1)
    expect(Buffer.compare(atB.messages[1]?.subarray(1) ?? new Uint8Array(0), body)).toBe(0)
  })

  it('delivers nothing before start() and loses nothing', async () => {
    const { a, b } = await pair()
    const atA = new TransportRecorder()
    a.start(atA)
    a.send(Uint8Array.of(1))
    a.send(Uint8Array.of(2))
    await turns()
    const atB = new TransportRecorder()
    b.start(atB)
    expect(atB.messages).toEqual([])
    await atB.until(() => atB.messages.length === 2)
    expect(atB.messages.map((message) => message[0])).toEqual([1, 2])
  })

  it('calls sent once per message and leaves the buffers to the caller from then on', async () => {
    const { a, atB } = await startedPair()
    const head = Uint8Array.of(9)
    const body = filled(70_000, 3)
    const expected = Buffer.concat([head, body])
    let calls = 0
    await new Promise<void>((resolve) => {
      a.send(head, body, () => {
        calls += 1
        head.fill(0)
        body.fill(0)
        resolve()
      })
    })
    await atB.until(() => atB.messages.length === 1)
    expect(Buffer.compare(atB.messages[0] ?? head, expected)).toBe(0)
    await turns()
    expect(calls).toBe(1)
  })

  it('leaves received messages to the handler', async () => {
    const { a, atB } = await startedPair()
    a.send(filled(100, 1))
    await atB.until(() => atB.messages.length === 1)
    for (let i = 0; i < 20; i += 1) a.send(filled(100, 50 + i))
    await atB.until(() => atB.messages.length === 21)
    expect(Array.from(atB.messages[0] ?? [])).toEqual(Array.from(filled(100, 1)))
  })

  it('counts what has not left in bufferedAmount and reports the way down', async () => {
    const { a, atA, atB } = await startedPair()
    expect(a.bufferedAmount).toBe(0)
    a.send(filled(1_000, 1), filled(2_000_000, 2))
    expect(a.bufferedAmount).toBeGreaterThanOrEqual(2_001_000)
    await atB.until(() => atB.messages.length === 1)
    await atA.until(() => a.bufferedAmount === 0 && atA.drains > 0)
    expect(atA.drains).toBeGreaterThan(0)
  })

  it('reports activity for messages, before they are delivered', async () => {
    const { a, atB } = await startedPair()
    a.send(Uint8Array.of(1))
    await atB.until(() => atB.messages.length === 1)
    expect(atB.activitiesAtMessage[0]).toBeGreaterThan(0)
  })

  it('answers a ping, which is activity on both sides', async () => {
    const { a, atA, atB } = await startedPair()
    a.ping()
    await atB.until(() => atB.activities > 0)
    await atA.until(() => atA.activities > 0)
    expect(atA.messages.length + atB.messages.length).toBe(0)
    expect([atA.pongs, atB.pongs]).toEqual([1, 0])
  })

  it('sends an unsolicited pong, which is activity at the other end alone, and no answer', async () => {
    const { a, b, atA, atB } = await startedPair()
    a.pong()
    await atB.until(() => atB.activities > 0)
    await turns()
    expect([atA.activities, atB.pongs]).toEqual([0, 0])
    b.ping()
    a.pong()
    await atB.until(() => atB.pongs > 0)
    await turns()
    expect([atA.pongs, atB.pongs]).toEqual([0, 1])
  })
}

function describePausing(startedPair: Started, pair: () => Promise<TransportPair>): void {
  it('stops delivery while paused and goes on after resume()', async () => {
    const { a, b, atB } = await startedPair()
    b.pause()
    b.pause()
    a.send(Uint8Array.of(1))
    a.send(Uint8Array.of(2))
    await turns()
    expect(atB.messages).toEqual([])
    b.resume()
    b.resume()
    await atB.until(() => atB.messages.length === 2)
    expect(atB.messages.map((message) => message[0])).toEqual([1, 2])
  })

  it('pushes back: with the far end paused bufferedAmount stays up', async () => {
    const { a, b, atA, atB } = await startedPair()
    b.pause()
    const body = filled(16_000_000, 1)
    a.send(Uint8Array.of(1), body)
    a.send(Uint8Array.of(2), body)
    await untilStill(() => a.bufferedAmount)
    expect(a.bufferedAmount).toBeGreaterThan(0)
    b.resume()
    await atB.until(() => atB.messages.length === 2)
    await atA.until(() => a.bufferedAmount === 0)
    expect(atB.totalBytes).toBe(2 * (body.byteLength + 1))
  })

  it('can be paused from within a delivery', async () => {
    const { a, b } = await pair()
    const atB = new TransportRecorder()
    const record = atB.message.bind(atB)
    atB.message = (data) => {
      b.pause()
      record(data)
    }
    a.start(new TransportRecorder())
    b.start(atB)
    a.send(Uint8Array.of(1))
    await atB.until(() => atB.messages.length === 1)
    a.send(Uint8Array.of(2))
    await turns()
    expect(atB.messages.length).toBe(1)
    b.resume()
    await atB.until(() => atB.messages.length === 2)
  })
}

function describeClosing(startedPair: Started, pair: () => Promise<TransportPair>): void {
  it('sends what is queued before the close frame and tells both ends code and reason', async () => {
    const { a, atA, atB } = await startedPair()
    a.send(Uint8Array.of(1), filled(2_000_000, 1))
    a.close(4001, 'enough')
    const [closeA, closeB] = await Promise.all([atA.closed(), atB.closed()])
    expect(atB.messages.length).toBe(1)
    expect(closeB).toMatchObject({ code: 4001, reason: 'enough' })
    expect(closeA.code).toBe(4001)
  })

  it('delivers what the other end had queued when the close frame came', async () => {
    const { a, b, atA } = await startedPair()
    b.send(Uint8Array.of(7), filled(500_000, 1))
    a.close()
    await atA.closed()
    expect(atA.messages.map((message) => message[0])).toEqual([7])
  })

  it('sees the close frame of the other end though it was paused when it was closed', async () => {
    const { a, b, atA } = await startedPair()
    a.pause()
    b.send(Uint8Array.of(7), filled(500_000, 1))
    a.close(4001, 'enough')
    expect((await atA.closed()).code).toBe(4001)
  })

  it('ends with code 1006 at the other end after abort()', async () => {
    const { a, atA, atB } = await startedPair()
    a.abort()
    const [closeA, closeB] = await Promise.all([atA.closed(), atB.closed()])
    expect(closeA.code).toBe(1006)
    expect(closeB.code).toBe(1006)
  })

  it('closes once, whatever comes after', async () => {
    const { a, b, atA, atB } = await startedPair()
    a.close()
    a.close(4002)
    b.close()
    await Promise.all([atA.closed(), atB.closed()])
    a.abort()
    b.abort()
    a.close()
    b.close()
    await turns()
    expect(atA.closes.length).toBe(1)
    expect(atB.closes.length).toBe(1)
  })

  it('closes when both ends do so at the same time', async () => {
    const { a, b, atA, atB } = await startedPair()
    a.close(1000)
    b.close(1000)
    expect((await atA.closed()).code).toBe(1000)
    expect((await atB.closed()).code).toBe(1000)
  })

  it('ignores send, ping, pong, pause and resume after close, and still calls sent', async () => {
    const { a, atA, atB } = await startedPair()
    a.close()
    await new Promise<void>((resolve) => a.send(Uint8Array.of(1), Uint8Array.of(2), resolve))
    a.ping()
    a.pong()
    await Promise.all([atA.closed(), atB.closed()])
    a.pause()
    a.resume()
    a.ping()
    a.pong()
    await new Promise<void>((resolve) => a.send(Uint8Array.of(1), undefined, resolve))
    expect(atB.messages).toEqual([])
    expect(a.bufferedAmount).toBe(0)
  })

  it('calls sent for everything that abort() dropped', async () => {
    const { a, b, atA } = await startedPair()
    b.pause()
    let calls = 0
    for (let i = 0; i < 3; i += 1) a.send(Uint8Array.of(i), filled(8_000_000, i), () => (calls += 1))
    await turns()
    a.abort()
    await atA.closed()
    await until(() => calls >= 3)
    await turns()
    expect(calls).toBe(3)
    expect(a.bufferedAmount).toBe(0)
  })

  it('tells of a close that came before start()', async () => {
    const { a, b } = await pair()
    const atA = new TransportRecorder()
    a.start(atA)
    a.send(Uint8Array.of(5))
    a.close(4003, 'gone')
    await turns()
    const atB = new TransportRecorder()
    b.start(atB)
    const info = await atB.closed()
    expect(atB.messages.map((message) => message[0])).toEqual([5])
    expect(info.code).toBe(4003)
    await atA.closed()
  })

  it('tells of its own abort() before start()', async () => {
    const { a } = await pair()
    a.abort()
    const atA = new TransportRecorder()
    a.start(atA)
    expect((await atA.closed()).code).toBe(1006)
  })

  it('delivers nothing after abort() from within a delivery', async () => {
    const { a, b } = await pair()
    const atB = new TransportRecorder()
    const record = atB.message.bind(atB)
    atB.message = (data) => {
      record(data)
      b.abort()
    }
    a.start(new TransportRecorder())
    b.start(atB)
    for (let i = 0; i < 10; i += 1) a.send(Uint8Array.of(i))
    await atB.closed()
    await turns()
    expect(atB.messages.length).toBe(1)
    expect(atB.closes.length).toBe(1)
  })
}
