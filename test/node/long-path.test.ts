import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { MIB } from '../../src/protocol/limits.js'
import type { ManualClock } from '../support/manual-clock.js'
import { untilStill } from '../support/wait.js'
import { echoServer, socksRequest, startClient, startServer, tcpServer } from './library-fixture.js'
import { stoppedClock } from './stopped-clock.js'

const LOOPBACK = '127.0.0.1'
const ONE_WAY_MS = 50
/** The clock moves so far when nothing came to the path in so many turns of the event loop. */
const STEP_MS = 5
const IDLE_TURNS = 20

/** Carries connections to `port`, each piece 50 ms later than it came. `most`: bytes that were on their way to the client at a time. */
async function delayingRelay(
  port: number,
  clock: ManualClock,
): Promise<{ readonly port: number; readonly most: () => number; readonly moved: () => number }> {
  let onTheirWay = 0
  let moved = 0
  let most = 0
  const carry = (from: Socket, to: Socket, counted: boolean): void => {
    from.on('data', (bytes) => {
      moved += bytes.byteLength
      if (counted) onTheirWay += bytes.byteLength
      most = Math.max(most, onTheirWay)
      clock.after(ONE_WAY_MS, () => {
        if (counted) onTheirWay -= bytes.byteLength
        to.write(bytes)
      })
    })
    from.on('close', () => to.destroy())
  }
  const listening = await tcpServer((near) => {
    const far = connect(port, LOOPBACK).on('error', () => {})
    near.setNoDelay(true)
    far.setNoDelay(true)
    carry(near, far, false)
    carry(far, near, true)
  })
  return { port: listening, most: () => most, moved: () => moved }
}

/** A port that sends so many bytes to whoever connects, and ends. */
const sender = (bytes: number): Promise<number> => tcpServer((socket) => void socket.end(Buffer.alloc(bytes, 'x')))

/** Takes everything that comes. */
async function bytesOf(socket: Socket): Promise<number> {
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.byteLength
  })
  socket.resume()
  await once(socket, 'end')
  return bytes
}

/** Moves the clock on until `ended` is settled, whenever `moved` stands still: a slow machine makes no path longer. */
async function run<T>(clock: ManualClock, moved: () => number, ended: Promise<T>): Promise<T> {
  let running = true
  const stop = (): void => {
    running = false
  }
  ended.then(stop, stop)
  let before = 0
  for (let idle = 0; running; idle += 1) {
    if (moved() !== before) idle = 0
    before = moved()
    if (idle === IDLE_TURNS) {
      idle = 0
      clock.advance(STEP_MS)
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  return ended
}

async function forward(path: (port: number) => Promise<number>) {
  const { port } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
  const url = `ws://${LOOPBACK}:${await path(port)}`
  const { client } = await startClient({ url, token: 'secret', socks: { port: 0 } })
  const socks = client.socksAddress?.port ?? 0
  return async (to: number) => (await socksRequest(socks, { host: LOOPBACK, port: to })).socket
}

describe('a long path', () => {
  it('has as much under way as it holds, far more than a window as it begins', async () => {
    const clock = stoppedClock()
    let [most, moved] = [(): number => 0, (): number => 0]
    const opening = forward(async (port) => {
      const relay = await delayingRelay(port, clock)
      most = relay.most
      moved = relay.moved
      return relay.port
    })
    const passing = <T>(ended: Promise<T>): Promise<T> => run(clock, () => moved(), ended)
    const open = await passing(opening)
    const far = await passing(open(await sender(32 * MIB)))
    expect(await passing(bytesOf(far))).toBe(32 * MIB)
    expect(most()).toBeGreaterThan(4 * MIB)
    expect(most()).toBeLessThan(24 * MIB)
  })
})

describe('a link on which a stream was blocked', () => {
  it('goes on when the application that did not read is killed', async () => {
    const open = await forward(async (port) => port)
    const far = await sender(16 * MIB)
    for (let round = 0; round < 4; round += 1) {
      const blocked = await open(far)
      blocked.pause()
      await untilStill(() => blocked.bytesRead)
      blocked.resetAndDestroy()
      expect(await bytesOf(await open(far))).toBe(16 * MIB)
    }
  })

  it('goes on when the destination that did not read is killed', async () => {
    const blocked: Socket[] = []
    const deaf = await tcpServer((socket) => void blocked.push(socket.pause()))
    const echo = await echoServer()
    const open = await forward(async (port) => port)
    for (let round = 0; round < 4; round += 1) {
      const up = await open(deaf)
      up.write(Buffer.alloc(16 * MIB))
      await untilStill(() => up.bytesWritten - up.writableLength)
      blocked.pop()?.resetAndDestroy()
      const living = await open(echo)
      living.end(Buffer.alloc(4 * MIB))
      expect(await bytesOf(living)).toBe(4 * MIB)
    }
  })
})
