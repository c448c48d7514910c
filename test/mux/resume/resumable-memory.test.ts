import { describe, expect, it } from 'vitest'
import { ACK_DELAY_MS, KIB, MIN_REPLAY_BYTES } from '../../../src/protocol/limits.js'
import { pattern } from '../../contract/pattern.js'
import { settle } from '../../support/manual-clock.js'
import { memoryTransportPair } from '../../support/memory-transport.js'
import { ResumableLink } from './resumable-fixture.js'

const HEAD = Uint8Array.of(1, 4)
const PAYLOAD = pattern(1_000)

/** A message as a transport delivers it, in memory that is used again once it is recycled. */
async function delivered(): Promise<Uint8Array> {
  const [a, b] = memoryTransportPair()
  const messages: Uint8Array[] = []
  a.start({ message: () => {}, activity: () => {}, drain: () => {}, close: () => {} })
  b.start({ message: (data) => messages.push(data), activity: () => {}, drain: () => {}, close: () => {} })
  a.send(PAYLOAD)
  await settle()
  const [data] = messages
  if (data === undefined) throw new Error('nothing came')
  return data
}

/** A link whose near end has passed on one delivered message and given its memory back. */
async function passedOn() {
  const link = new ResumableLink()
  const got: Uint8Array[] = []
  link.far.onMessage = (data) => got.push(data.slice(2))
  const body = await delivered()
  return { link, body, got }
}

const spoiled = (data: Uint8Array): boolean => data.every((byte) => byte === 0xee)

describe('ResumableTransport, memory that was passed on', () => {
  it('is not used again before the peer has acknowledged it', async () => {
    const { link, body, got } = await passedOn()
    link.near.transport.send(HEAD, body)
    link.near.transport.recycle(body)
    await settle()
    expect(spoiled(body)).toBe(false)
    await link.clock.advanceAsync(ACK_DELAY_MS)
    expect([spoiled(body), got]).toEqual([true, [PAYLOAD]])
  })

  it('is sent again unspoiled after any number of losses', async () => {
    const { link, body, got } = await passedOn()
    link.near.inner.hold()
    link.near.transport.send(HEAD, body)
    link.near.transport.recycle(body)
    for (let turn = 0; turn < 3; turn += 1) {
      link.cut()
      await settle()
      link.resume()
      link.near.inner.hold()
    }
    link.near.inner.letGo()
    await settle()
    expect([spoiled(body), got]).toEqual([false, [PAYLOAD]])
    await link.clock.advanceAsync(ACK_DELAY_MS)
    expect([spoiled(body), got.length]).toEqual([true, 1])
  })

  it('is free as soon as another connection tells that it has arrived', async () => {
    const { link, body, got } = await passedOn()
    link.near.transport.send(HEAD, body)
    link.near.transport.recycle(body)
    await settle()
    link.cut()
    await settle()
    expect(spoiled(body)).toBe(false)
    link.resume()
    expect([spoiled(body), got]).toEqual([true, [PAYLOAD]])
  })

  it('may be one message’s head and another one’s body', async () => {
    const { link, body, got } = await passedOn()
    link.near.transport.send(HEAD, body)
    link.near.transport.send(body)
    link.near.transport.recycle(body)
    await settle()
    expect([spoiled(body), got]).toEqual([false, [PAYLOAD, PAYLOAD.subarray(2)]])
    await link.clock.advanceAsync(ACK_DELAY_MS)
    expect(spoiled(body)).toBe(true)
  })

  it.each(['close', 'abort'] as const)(
    'is given back by %s() while suspended, and later only by its owner',
    async (how) => {
      const { link, body } = await passedOn()
      const own = await delivered()
      link.cut()
      await settle()
      link.near.transport.send(HEAD, body)
      link.near.transport.send(HEAD, own)
      link.near.transport.recycle(body)
      link.near.transport[how]()
      expect([spoiled(body), spoiled(own)]).toEqual([true, false])
    },
  )

  it('is given back when the time is over', async () => {
    const { link, body } = await passedOn()
    link.near.transport.send(HEAD, body)
    link.near.transport.recycle(body)
    link.cut()
    await settle()
    await link.clock.advanceAsync(60_000)
    expect(spoiled(body)).toBe(true)
  })
})

describe('ResumableTransport, full', () => {
  it('takes nothing more before the peer acknowledges, and tells when it does again', async () => {
    const link = new ResumableLink({ sharedBytes: 0 })
    // what the far end says does not arrive
    link.far.inner.hold()
    while (link.near.transport.bufferedAmount < Number.POSITIVE_INFINITY) {
      link.near.transport.send(HEAD, new Uint8Array(60 * KIB))
      // the connection itself takes all: it is the acknowledgement that is waited for
      await settle()
    }
    expect(link.near.transport.keptBytes).toBeGreaterThanOrEqual(MIN_REPLAY_BYTES)
    expect(link.near.transport.keptBytes).toBeLessThan(MIN_REPLAY_BYTES + 64 * KIB)
    const { drains } = link.near
    link.far.inner.letGo()
    await settle()
    expect(link.near.drains).toBeGreaterThan(drains)
    expect(link.near.transport.bufferedAmount).toBe(0)
  })

  it('goes on behind a loss with what it has kept', async () => {
    const link = new ResumableLink({ sharedBytes: 0 })
    link.near.inner.hold()
    const texts: string[] = []
    while (link.near.transport.bufferedAmount < Number.POSITIVE_INFINITY) {
      texts.push(`${texts.length}`.padEnd(60 * KIB, '.'))
      link.near.say(texts.at(-1) ?? '')
    }
    expect(link.near.transport.keptBytes).toBeGreaterThanOrEqual(MIN_REPLAY_BYTES)
    link.cut()
    await settle()
    link.resume()
    expect(link.near.transport.bufferedAmount).toBe(Number.POSITIVE_INFINITY)
    await settle()
    await link.clock.advanceAsync(ACK_DELAY_MS)
    expect(link.far.texts).toEqual(texts)
    expect([link.near.transport.bufferedAmount, ...link.kept]).toEqual([0, 0, 0])
  })

  it('sends again no faster than the connection takes it', async () => {
    const link = new ResumableLink()
    link.near.inner.hold()
    for (let n = 0; n < 10; n += 1) link.near.say('x'.repeat(60 * KIB))
    link.cut()
    await settle()
    link.resume()
    expect(link.near.inner.bufferedAmount).toBeLessThan(256 * KIB)
    expect(link.near.transport.bufferedAmount).toBe(Number.POSITIVE_INFINITY)
    await settle()
    expect([link.far.texts.length, link.near.transport.bufferedAmount]).toEqual([10, 0])
  })
})
