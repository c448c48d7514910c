import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { ACK_DELAY_MS, MIN_REPLAY_BYTES } from '../../../src/protocol/limits.js'
import { encodeSessionControl, SessionOp } from '../../../src/protocol/session-control.js'
import { channelMoves } from '../../protocol/channel-moves.js'
import { settle } from '../../support/manual-clock.js'
import { memoryTransportPair } from '../../support/memory-transport.js'
import { ResumableLink } from './resumable-fixture.js'

const MESSAGES = ['one', 'two', 'three', 'four', 'five']

async function exchanged(link: ResumableLink): Promise<void> {
  await settle()
  await link.clock.advanceAsync(ACK_DELAY_MS)
}

describe('ResumableTransport', () => {
  it('carries messages both ways and forgets what was acknowledged', async () => {
    const link = new ResumableLink()
    link.near.say('up')
    link.far.say('down')
    await settle()
    expect([link.near.texts, link.far.texts]).toEqual([['down'], ['up']])
    expect(link.kept.every((bytes) => bytes > 0)).toBe(true)
    await exchanged(link)
    expect([link.kept, link.clock.pending]).toEqual([[0, 0], 0])
    expect(link.near.texts).toEqual(['down'])
  })

  it('counts and sends again what deployed programs have under the numbers behind those of part A', async () => {
    const link = new ResumableLink()
    const moves = channelMoves(new Uint8Array(16))
    for (const end of link.ends) for (const raw of moves) end.transport.send(raw)
    await settle()
    expect(link.ends.map((end) => [end.transport.received, end.texts.length])).toEqual([
      [4, 4],
      [4, 4],
    ])
    await exchanged(link)
    expect([link.kept, link.clock.pending]).toEqual([[0, 0], 0])
    for (const end of link.ends) end.inner.hold()
    for (const end of link.ends) for (const raw of moves) end.transport.send(raw)
    link.cut()
    await settle()
    link.resume()
    await settle()
    expect(link.ends.map((end) => end.transport.received)).toEqual([8, 8])
  })

  it.each([0, 1, 2, 3, 4, 5])(
    'delivers each message once and in order when it is cut behind message %i',
    async (at) => {
      const link = new ResumableLink()
      for (const end of link.ends) end.inner.hold()
      link.near.say(...MESSAGES)
      link.far.say(...MESSAGES)
      for (const end of link.ends) end.inner.flush(at)
      await settle()
      link.cut()
      await settle()
      link.resume()
      await settle()
      expect([link.near.texts, link.far.texts]).toEqual([MESSAGES, MESSAGES])
      await exchanged(link)
      expect([link.kept, link.clock.pending]).toEqual([[0, 0], 0])
    },
  )

  it('does so when every connection is cut after one message', async () => {
    const link = new ResumableLink()
    link.near.say(...MESSAGES)
    link.far.say(...MESSAGES)
    for (let turn = 0; turn < MESSAGES.length; turn += 1) {
      for (const end of link.ends) end.inner.hold()
      for (const end of link.ends) end.inner.flush(1)
      await settle()
      link.cut()
      await settle()
      link.resume()
    }
    await settle()
    expect([link.near.texts, link.far.texts]).toEqual([MESSAGES, MESSAGES])
  })

  it('does so when connections are lost before anything has passed', async () => {
    const link = new ResumableLink()
    link.near.inner.hold()
    link.near.say(...MESSAGES)
    for (let turn = 0; turn < 3; turn += 1) {
      link.cut()
      await settle()
      link.resume()
      link.near.inner.hold()
    }
    link.near.inner.letGo()
    await settle()
    expect(link.far.texts).toEqual(MESSAGES)
  })

  it('sends what came while it was suspended behind what was to be sent again', async () => {
    const link = new ResumableLink()
    link.near.inner.hold()
    link.near.say('one', 'two')
    link.cut()
    await settle()
    link.near.say('three')
    link.near.onResumed = () => link.near.say('four')
    link.resume()
    link.near.say('five')
    await settle()
    expect(link.far.texts).toEqual(MESSAGES)
    expect(link.near.events).toEqual(['suspended', 'resumed', 'confirmed'])
  })

  it('tells the loss with its reason, and takes nothing while it lasts', async () => {
    const link = new ResumableLink()
    link.cut()
    await settle()
    expect([link.near.transport.suspended, link.near.transport.closed]).toEqual([true, false])
    expect(link.near.transport.bufferedAmount).toBe(Number.POSITIVE_INFINITY)
    expect(link.near.losses).toMatchObject([{ code: 'ERR_LINK_LOST', message: 'the connection was cut' }])
    link.resume()
    await settle()
    expect([link.near.transport.suspended, link.near.transport.bufferedAmount]).toEqual([false, 0])
  })

  it('calls `sent` for every message, at once: it keeps its own', async () => {
    const link = new ResumableLink()
    const sent: string[] = []
    link.near.transport.send(Uint8Array.of(1, 4), undefined, () => sent.push('connected'))
    link.cut()
    await settle()
    link.near.transport.send(Uint8Array.of(1, 4), undefined, () => sent.push('suspended'))
    link.near.transport.abort()
    link.near.transport.send(Uint8Array.of(1, 4), undefined, () => sent.push('closed'))
    expect(sent).toEqual(['connected', 'suspended', 'closed'])
  })

  it('loses the connection alone when that has fallen silent', async () => {
    const link = new ResumableLink()
    link.near.transport.lose(new LinkSocksError('ERR_LINK_TIMEOUT', 'silence'))
    await settle()
    expect(link.near.losses).toMatchObject([{ code: 'ERR_LINK_TIMEOUT' }])
    link.near.transport.lose(new LinkSocksError('ERR_LINK_TIMEOUT', 'again'))
    link.resume()
    link.near.say('still here')
    await settle()
    expect(link.far.texts).toEqual(['still here'])
  })

  it('goes on with an acknowledgement when it was full of what others kept, whoever made room', async () => {
    const link = new ResumableLink({ sharedBytes: 0 })
    link.near.inner.hold()
    link.near.say('x'.repeat(MIN_REPLAY_BYTES))
    expect(link.near.transport.bufferedAmount).toBe(Number.POSITIVE_INFINITY)
    const before = link.near.drains
    link.far.inner.send(encodeSessionControl({ op: SessionOp.Ack, received: 0 }))
    await settle()
    expect(link.near.drains).toBeGreaterThan(before)
  })

  it('pings the present connection alone', async () => {
    const link = new ResumableLink()
    link.cut()
    await settle()
    link.near.transport.ping()
    link.near.transport.pong()
    link.resume()
    await settle()
    link.near.inner.hold()
    link.near.transport.ping()
    link.near.transport.pong()
    expect(link.near.inner.queuedFrames).toBe(2)
  })

  it('tells that the peer is about to shut down', async () => {
    const link = new ResumableLink()
    link.far.transport.drain()
    await settle()
    expect([link.near.events, link.near.transport.received]).toEqual([['draining'], 0])
  })

  it('tells as soon as the peer is heard on a new connection that it knows of it, each time, with nothing to say', async () => {
    const link = new ResumableLink()
    link.near.say('one')
    await settle()
    for (let turn = 0; turn < 2; turn += 1) {
      link.cut()
      await settle()
      link.resume()
      expect(link.far.events.at(-1)).toBe('resumed')
      await settle()
      expect(link.far.events.slice(-2)).toEqual(['resumed', 'confirmed'])
    }
  })
})

describe('ResumableTransport.attach() to a connection that still seems to live', () => {
  it('takes it over, with nothing missing and nothing twice', async () => {
    const link = new ResumableLink()
    const old = link.far.inner
    for (const end of link.ends) end.inner.hold()
    link.near.say(...MESSAGES)
    link.far.say(...MESSAGES)
    for (const end of link.ends) end.inner.flush(2)
    await settle()
    link.resume()
    await settle()
    expect([link.near.texts, link.far.texts]).toEqual([MESSAGES, MESSAGES])
    expect([old.closed, link.far.events]).toEqual([true, ['suspended', 'resumed', 'confirmed']])
    expect(link.far.losses).toMatchObject([{ code: 'ERR_LINK_LOST', message: 'another connection took its place' }])
  })

  it('ignores whatever the old one still tells', async () => {
    const link = new ResumableLink()
    const [a, b] = [link.near.inner, link.far.inner]
    // a paused end does not notice the end of the other
    b.pause()
    a.send(Uint8Array.of(1, 4, 120))
    link.resume()
    b.resume()
    a.cut()
    await settle()
    expect([link.far.texts, link.far.transport.received, link.far.closes]).toEqual([[], 0, []])
    expect(link.far.transport.suspended).toBe(false)
  })

  it('takes over twice at once', async () => {
    const link = new ResumableLink()
    link.near.inner.hold()
    link.near.say(...MESSAGES)
    link.resume()
    link.resume()
    await settle()
    expect(link.far.texts).toEqual(MESSAGES)
    expect(link.clock.pending).toBe(1)
    await exchanged(link)
    expect(link.clock.pending).toBe(0)
  })

  it('goes on when the new one is lost at once', async () => {
    const link = new ResumableLink()
    const [a, b] = memoryTransportPair()
    link.near.say('one')
    a.abort()
    await settle()
    link.far.attach(b, 0)
    link.far.say('two')
    await settle()
    expect(link.far.transport.suspended).toBe(true)
    link.resume()
    await settle()
    expect([link.near.texts, link.far.texts]).toEqual([['two'], ['one']])
  })
})

describe('ResumableTransport.accepts()', () => {
  it('takes a count that lies between what was acknowledged and what was sent', async () => {
    const link = new ResumableLink()
    link.near.say('one', 'two')
    await exchanged(link)
    link.near.say('three')
    await settle()
    link.cut()
    await settle()
    expect([1, 2, 3, 4].map((count) => link.near.transport.accepts(count))).toEqual([false, true, true, false])
  })

  it('takes none after the end', async () => {
    const link = new ResumableLink()
    const { near, far } = link
    near.transport.close()
    // the end has been said, the connection still stands
    expect(near.transport.accepts(0)).toBe(false)
    await settle()
    expect([near.transport.accepts(0), far.transport.accepts(0)]).toEqual([false, false])
    expect(near.controls).toEqual([{ op: SessionOp.End }])
  })
})
