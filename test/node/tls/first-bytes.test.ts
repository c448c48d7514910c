import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { lookAtFirstBytes } from '../../../src/node/tls/first-bytes.js'
import { KIB } from '../../../src/protocol/limits.js'
import { pattern } from '../../contract/pattern.js'
import { atEnd } from '../../support/at-end.js'
import { until, untilStill } from '../../support/wait.js'
import { socketPair } from '../net/sockets.js'

async function pair(): Promise<{ own: Socket; peer: Socket; closed: () => boolean }> {
  const [own, peer] = await socketPair()
  let isClosed = false
  own.on('error', () => {}).on('close', () => (isClosed = true))
  peer.on('error', () => {}).setNoDelay()
  atEnd(() => void own.destroy())
  atEnd(() => void peer.destroy())
  return { own, peer, closed: () => isClosed }
}

/** Looks at `socket` until so many bytes are there, asking for the next as `step` says. */
function look(socket: Socket, enough: number, step = enough) {
  const looks: number[] = []
  const seen: Buffer[] = []
  lookAtFirstBytes(
    socket,
    (bytes) => {
      looks.push(bytes.byteLength)
      return bytes.byteLength >= enough ? 0 : Math.min(enough, bytes.byteLength + step)
    },
    (bytes) => seen.push(Buffer.from(bytes)),
  )
  return { looks, seen }
}

const listeners = (socket: Socket): number =>
  ['readable', 'end', 'data'].reduce((n, name) => n + socket.listenerCount(name), 0)

async function rest(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe('lookAtFirstBytes', () => {
  it('leaves what it saw unread, in order, with what comes after it', async () => {
    const { own, peer } = await pair()
    const before = listeners(own)
    const { seen } = look(own, 5)
    peer.write('hello')
    await until(() => seen.length > 0)
    expect(seen.map(String)).toEqual(['hello'])
    expect(listeners(own)).toBe(before)
    peer.end(' and on')
    expect(await rest(own)).toBe('hello and on')
  })

  it('leaves bytes unread whose end was there with them', async () => {
    const { own, peer } = await pair()
    peer.end('hello')
    const { seen } = look(own, 5)
    await until(() => seen.length > 0)
    expect(await rest(own)).toBe('hello')
  })

  it('asks at the first byte, and not again before as many are there as were asked for', async () => {
    const { own, peer } = await pair()
    const { looks, seen } = look(own, 30, 10)
    for (let sent = 1; sent <= 30; sent += 1) {
      peer.write(Buffer.of(sent))
      await until(() => own.bytesRead === sent)
    }
    await until(() => seen.length > 0)
    expect(looks).toEqual([1, 11, 21, 30])
    expect(seen).toEqual([Buffer.from(Array.from({ length: 30 }, (_, i) => i + 1))])
  })

  it('holds what is large, however it comes', async () => {
    const { own, peer } = await pair()
    const bytes = pattern(300 * KIB)
    const { seen } = look(own, bytes.byteLength, 1)
    for (let at = 0; at < bytes.byteLength; at += 7_001) peer.write(bytes.subarray(at, at + 7_001))
    await until(() => seen.length > 0)
    expect(seen.map((all) => Buffer.compare(all, bytes))).toEqual([0])
    expect(own.read()).toEqual(Buffer.from(bytes))
  })

  it('gives what came with the bytes that were asked for', async () => {
    const { own, peer } = await pair()
    const { seen } = look(own, 2)
    peer.write('abcdef')
    await until(() => seen.length > 0)
    expect(seen.map(String)).toEqual(['abcdef'])
  })

  it.each([
    ['ends', (peer: Socket) => peer.end()],
    ['ends after some bytes', (peer: Socket) => peer.end('half')],
    ['is reset', (peer: Socket) => peer.resetAndDestroy()],
  ])('ends a connection that %s before that', async (_name, leave) => {
    const { own, peer, closed } = await pair()
    const { seen } = look(own, 5)
    leave(peer)
    await until(closed)
    expect([seen, own.listenerCount('readable')]).toEqual([[], 0])
  })

  it('sees nothing of a connection that is ended here while it waits', async () => {
    const { own, peer, closed } = await pair()
    const { looks, seen } = look(own, 5)
    peer.write('hal')
    await until(() => looks.length > 0)
    own.destroy()
    peer.write('f and more')
    await until(closed)
    await untilStill(() => looks.length)
    expect([looks, seen, own.listenerCount('readable')]).toEqual([[3], [], 0])
  })
})
