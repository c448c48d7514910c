import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { ReplayBudget } from '../../../src/mux/resume/replay-budget.js'
import { ResumableTransport } from '../../../src/mux/resume/resumable-transport.js'
import { Session } from '../../../src/mux/session.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import { KIB } from '../../../src/protocol/limits.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { memoryTransportPair } from '../../support/memory-transport.js'
import { hex } from '../../support/test-peer.js'
import { inflate } from '../fixture.js'
import { ResumableLink } from './resumable-fixture.js'

describe('ResumableTransport, ended at an odd moment', () => {
  it('closes its connection also when the peer has said END and left it open', async () => {
    const link = new ResumableLink()
    link.far.inner.send(hex('01 f0 02'))
    await settle()
    link.near.transport.close()
    await settle()
    expect([link.near.closes.length, link.near.inner.closed]).toEqual([1, true])
  })

  it('accepts no count of messages that no connection was ever given', async () => {
    const link = new ResumableLink()
    link.cut()
    await settle()
    link.near.say('waits')
    expect([0, 1].map((count) => link.near.transport.accepts(count))).toEqual([true, false])
  })

  it('stays closed when its owner ends it while another connection takes its place', async () => {
    const link = new ResumableLink()
    link.far.onSuspended = () => link.far.transport.abort(new LinkSocksError('ERR_LIMIT', 'enough'))
    const [, b] = memoryTransportPair()
    link.far.attach(b, 0)
    await settle()
    expect([link.far.closes.length, link.far.transport.closed]).toEqual([1, true])
    expect(link.far.events).toEqual(['suspended', 'close'])
  })

  it('tells nothing behind its end when its owner ends it as it goes on', async () => {
    const link = new ResumableLink()
    link.cut()
    await settle()
    let drains = 0
    link.near.onResumed = () => {
      link.near.transport.abort()
      drains = link.near.drains
    }
    link.resume()
    await settle()
    expect([link.near.drains, link.near.events]).toEqual([drains, ['suspended', 'resumed', 'close']])
  })

  it('sends what waits to be sent again before END', async () => {
    const link = new ResumableLink()
    link.near.inner.hold()
    for (let count = 0; count < 8; count += 1) link.near.say('x'.repeat(60 * KIB))
    link.cut()
    await settle()
    link.resume()
    link.near.transport.close()
    await settle()
    expect([link.far.texts.length, link.near.closes.length, link.far.closes.length]).toEqual([8, 1, 1])
  })
})

describe('Session, closed while it is suspended', () => {
  it('ends without an error and waits for nothing', async () => {
    const clock = new ManualClock()
    const [a] = memoryTransportPair()
    const closes: (LinkSocksError | undefined)[] = []
    const silent = (): void => {}
    const session = new Session(new ResumableTransport(a, { clock, budget: new ReplayBudget() }), {
      clock,
      crypto: nodeCrypto,
      inflate,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      pongs: false,
    })
    session.start({ close: (error) => closes.push(error) })
    a.cut()
    await settle()
    await session.close()
    expect([closes, clock.pending]).toEqual([[undefined], 0])
  })
})
