import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { ACK_DELAY_MS, RESUME_TIMEOUT_MS } from '../../../src/protocol/limits.js'
import { SessionOp } from '../../../src/protocol/session-control.js'
import { settle } from '../../support/manual-clock.js'
import { hex } from '../../support/test-peer.js'
import { ResumableLink } from './resumable-fixture.js'

async function suspended(options: ConstructorParameters<typeof ResumableLink>[0] = {}): Promise<ResumableLink> {
  const link = new ResumableLink(options)
  link.near.say('kept')
  link.cut()
  await settle()
  return link
}

describe('ResumableTransport, the end of a connection', () => {
  it.each([1000, 1001, 1005, 1006, 1011, 1012, 3000, 4999])('with close code %i and no END is a loss', async (code) => {
    const link = new ResumableLink()
    link.far.inner.close(code, 'so')
    await settle()
    expect([link.near.events, link.near.closes]).toEqual([['suspended'], []])
    link.resume()
    link.far.say('on')
    await settle()
    expect(link.near.texts).toEqual(['on'])
  })

  it.each([1002, 1003, 1007, 1008, 1009, 1010])('with close code %i ends the session', async (code) => {
    const link = new ResumableLink()
    link.near.say('kept')
    link.far.inner.close(code, 'so')
    await settle()
    expect(link.near.closes).toMatchObject([{ code, reason: 'so' }])
    expect([link.near.transport.closed, link.near.transport.keptBytes, link.clock.pending]).toEqual([true, 0, 0])
  })

  it.each(['ERR_MESSAGE_INVALID', 'ERR_MESSAGE_TOO_LARGE'] as const)('with %s ends the session', async (code) => {
    const link = new ResumableLink()
    link.near.inner.cut(new LinkSocksError(code, 'a mistake'))
    await settle()
    expect([link.near.closes.length, link.near.transport.closed]).toEqual([1, true])
  })

  it('behind END ends the session, however it ends', async () => {
    const link = new ResumableLink()
    link.far.inner.send(hex('01 f0 02'))
    await settle()
    expect(link.near.transport.closed).toBe(false)
    link.cut()
    await settle()
    expect([link.near.events, link.near.transport.closed]).toEqual([['close'], true])
  })
})

describe('ResumableTransport, its mistakes', () => {
  it.each([
    ['for more than was sent', '01 f0 01 00000000 00000003'],
    ['above every count', '01 f0 01 ffffffff ffffffff'],
    ['cut', '01 f0 01 00000000 000000'],
    ['without an Op', '01 f0'],
  ])('an ACK %s ends the session', async (_name, wire) => {
    const link = new ResumableLink()
    link.near.say('one', 'two')
    await settle()
    link.far.inner.send(hex(wire))
    await settle()
    expect(link.near.closes).toMatchObject([{ error: { code: expect.stringMatching(/^ERR_MESSAGE_/) } }])
    expect([link.near.transport.closed, link.near.inner.closed, link.kept[0]]).toEqual([true, true, 0])
  })

  it('an ACK that takes one back ends the session', async () => {
    const link = new ResumableLink()
    link.near.say('one', 'two')
    await settle()
    link.far.inner.send(hex('01 f0 01 00000000 00000002'))
    link.far.inner.send(hex('01 f0 01 00000000 00000002'))
    await settle()
    expect(link.near.closes).toEqual([])
    link.far.inner.send(hex('01 f0 01 00000000 00000001'))
    await settle()
    expect(link.near.closes).toHaveLength(1)
  })

  it('an unknown Op and bytes behind the body change nothing, nor are they counted', async () => {
    const link = new ResumableLink()
    link.near.say('one')
    await settle()
    link.far.inner.send(hex('01 f0 7f aa'))
    link.far.inner.send(hex('01 f0 01 00000000 00000001 aa bb'))
    await settle()
    expect([link.kept[0], link.near.transport.received, link.near.closes]).toEqual([0, 0, []])
  })
})

describe('ResumableTransport, suspended', () => {
  it('ends after its time with the reason of the loss, and gives everything back', async () => {
    const link = await suspended({ timeoutMs: 5_000 })
    await link.clock.advanceAsync(4_999)
    expect(link.near.closes).toEqual([])
    await link.clock.advanceAsync(1)
    expect(link.near.closes).toMatchObject([{ code: 1006, error: { message: 'the connection was cut' } }])
    expect([link.kept, link.clock.pending, link.near.transport.accepts(0)]).toEqual([[0, 0], 0, false])
    expect(link.near.transport.bufferedAmount).toBe(0)
  })

  it('waits for a minute by itself, anew after each loss', async () => {
    const link = await suspended()
    for (let turn = 0; turn < 3; turn += 1) {
      await link.clock.advanceAsync(RESUME_TIMEOUT_MS - 1)
      link.resume()
      await settle()
      await link.clock.advanceAsync(RESUME_TIMEOUT_MS)
      link.cut()
      await settle()
    }
    expect([link.near.closes, link.far.closes]).toEqual([[], []])
    await link.clock.advanceAsync(RESUME_TIMEOUT_MS)
    expect([link.near.closes.length, link.far.closes.length, link.clock.pending]).toEqual([1, 1, 0])
  })

  it('ends at once on close(), with its code, once', async () => {
    const link = await suspended()
    link.near.transport.close(1000, 'done')
    link.near.transport.close()
    link.near.transport.abort()
    await settle()
    expect([link.near.closes, link.near.events]).toEqual([[{ code: 1000, reason: 'done' }], ['suspended', 'close']])
    expect([link.kept[0], link.near.transport.accepts(0)]).toEqual([0, false])
    await link.clock.advanceAsync(RESUME_TIMEOUT_MS)
    expect([link.near.closes.length, link.clock.pending]).toEqual([1, 0])
  })

  it('ends at once on abort(), with its reason, once', async () => {
    const link = await suspended()
    const reason = new LinkSocksError('ERR_LIMIT', 'enough')
    link.near.transport.abort(reason)
    link.near.transport.abort()
    link.near.transport.close()
    expect(link.near.closes).toEqual([{ code: 1006, reason: '', error: reason }])
    expect(link.kept[0]).toBe(0)
    await link.clock.advanceAsync(RESUME_TIMEOUT_MS)
    expect([link.near.closes.length, link.clock.pending]).toEqual([1, 0])
  })

  it('sends nothing to a connection that is gone, nor counts for one', async () => {
    const link = await suspended()
    const before = link.near.inner.sentMessages.length
    link.near.say('later')
    link.near.transport.drain()
    await link.clock.advanceAsync(ACK_DELAY_MS)
    expect(link.near.inner.sentMessages.length).toBe(before)
  })

  it.each([
    ['pause() before the loss', 'before'],
    ['pause() while suspended', 'while'],
  ])('carries %s over to the next connection', async (_name, when) => {
    const link = new ResumableLink()
    if (when === 'before') link.near.transport.pause()
    // a paused end sees no loss by itself
    link.near.inner.abort()
    await settle()
    if (when === 'while') link.near.transport.pause()
    link.resume()
    link.far.say('wait')
    await settle()
    expect([link.near.texts, link.near.inner.paused]).toEqual([[], true])
    link.near.transport.resume()
    await settle()
    expect(link.near.texts).toEqual(['wait'])
  })

  it('does not carry over what was resumed meanwhile', async () => {
    const link = new ResumableLink()
    link.near.transport.pause()
    link.near.inner.abort()
    await settle()
    link.near.transport.resume()
    link.resume()
    link.far.say('on')
    await settle()
    expect(link.near.texts).toEqual(['on'])
  })
})

describe('ResumableTransport, closing', () => {
  it('says END, then closes; the other end does not wait for it', async () => {
    const link = new ResumableLink()
    link.near.say('last')
    link.near.transport.close(1000, 'bye')
    await settle()
    expect(link.far.texts).toEqual(['last'])
    expect(link.near.controls.at(-1)).toEqual({ op: SessionOp.End })
    expect(link.ends.map((end) => [end.events, end.closes.length])).toEqual([
      [['close'], 1],
      [['close'], 1],
    ])
    expect([link.kept, link.clock.pending]).toEqual([[0, 0], 0])
  })

  it('sends nothing behind END', async () => {
    const link = new ResumableLink()
    link.near.transport.close()
    link.near.say('too late')
    expect(link.near.transport.keptBytes).toBe(0)
    await settle()
    expect(link.far.texts).toEqual([])
  })

  it('is over when the connection is lost before the close frame has passed', async () => {
    const link = new ResumableLink()
    link.near.inner.hold()
    link.near.say('kept')
    link.near.transport.close()
    link.cut()
    await settle()
    expect([link.near.transport.closed, link.near.closes.length, link.kept[0]]).toEqual([true, 1, 0])
    // the other end never heard of it
    expect(link.far.transport.suspended).toBe(true)
  })

  it('ends at once on abort(), which the other end takes for a loss', async () => {
    const link = new ResumableLink()
    link.near.say('kept')
    link.near.transport.abort(new LinkSocksError('ERR_LIMIT', 'enough'))
    await settle()
    expect(link.near.closes).toMatchObject([{ error: { code: 'ERR_LIMIT' } }])
    expect([link.near.events, link.far.events, link.kept[0]]).toEqual([['close'], ['suspended'], 0])
  })

  it('is gone after abort() while it waits for the peer’s close frame', async () => {
    const link = new ResumableLink()
    link.far.inner.pause()
    link.near.transport.close()
    await settle()
    expect(link.near.closes).toEqual([])
    link.near.transport.abort()
    expect([link.near.closes.length, link.near.inner.closed]).toEqual([1, true])
  })
})
