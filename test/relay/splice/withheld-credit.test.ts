import { describe, expect, it } from 'vitest'
import { HeldTotals } from '../../../src/mux/flow/held-totals.js'
import { ControlOp, decodeControl, ResetCode } from '../../../src/protocol/control.js'
import { MIB } from '../../../src/protocol/limits.js'
import { Compression, MessageType } from '../../../src/protocol/messages.js'
import { WithheldCredit } from '../../../src/relay/splice/withheld-credit.js'
import { settle } from '../../support/manual-clock.js'
import { agentWorld, type Peer } from '../world.js'
import { data, endingsOf, openChannel, windowUpdate } from './channels.js'

function setUp() {
  const totals = new HeldTotals({ sessionBytes: 1_000, totalBytes: 10_000 })
  const link = {}
  const given: number[] = []
  const credit = new WithheldCredit(totals, link, (bytes) => void given.push(bytes))
  return { totals, link, credit, given }
}

describe('WithheldCredit', () => {
  it('passes everything while the link waits for little', () => {
    const { totals, link, credit, given } = setUp()
    totals.count(link, 500)
    expect([credit.pass(10), credit.pass(0), given]).toEqual([10, 0, []])
  })

  it('keeps back what comes while much waits, and gives the sum once when a quarter is left', () => {
    const { totals, link, credit, given } = setUp()
    totals.count(link, 501)
    expect([credit.pass(10), credit.pass(0), credit.pass(20)]).toEqual([0, 0, 0])
    totals.count(link, -250)
    expect(given).toEqual([])
    totals.count({}, -1)
    totals.count(link, -1)
    totals.count(link, -1)
    expect(given).toEqual([30])
    expect(credit.pass(5)).toBe(5)
  })

  it('keeps back again, a second time', () => {
    const { totals, link, credit, given } = setUp()
    for (let i = 0; i < 2; i += 1) {
      totals.count(link, 600)
      credit.pass(10)
      totals.count(link, -600)
    }
    expect(given).toEqual([10, 10])
  })

  it('gives nothing to a channel that is over', () => {
    const { totals, link, credit, given } = setUp()
    totals.count(link, 600)
    credit.pass(10)
    credit.end()
    totals.count(link, -600)
    expect(given).toEqual([])
  })
})

/** Credit that WINDOW_UPDATEs brought a peer. */
const creditOf = (peer: Peer): number[] =>
  peer.of(MessageType.Data).flatMap((message) => {
    const frame = message.compression === Compression.Control ? decodeControl(message.data) : undefined
    return frame?.op === ControlOp.WindowUpdate ? [frame.credit] : []
  })

describe('a relay that holds much of one link', () => {
  it('lets nobody ask that link for more until it has drained, and resets no channel', async () => {
    const world = await agentWorld()
    const provider = await world.join('tenant')
    const slow = await world.join('member')
    const quick = await world.join('member')
    const bulky = await Promise.all(
      Array.from({ length: 5 }, () => openChannel(slow, provider, { offer: 16 * MIB, grant: 65_536 })),
    )
    const modest = await openChannel(quick, provider, { offer: 65_536, grant: 65_536 })
    slow.far.hold()
    for (const id of bulky) for (let sent = 0; sent < 15; sent += 1) await provider.send(data(id, new Uint8Array(MIB)))
    await quick.send(windowUpdate(modest, 1_000), windowUpdate(modest, 500))
    expect(creditOf(provider)).toEqual([0, 0])
    // the other direction is another link
    await provider.send(windowUpdate(modest, 7))
    expect(creditOf(quick)).toEqual([7])
    slow.far.letGo()
    await settle()
    expect(creditOf(provider)).toEqual([0, 0, 1_500])
    await provider.send(data(modest, new Uint8Array(65_536 + 1_500)))
    expect([...endingsOf(provider), ...endingsOf(quick), ...endingsOf(slow)]).toEqual([])
    await provider.send(data(modest, 'x'))
    expect(endingsOf(quick)[0]).toBe(ResetCode.FlowControl)
  })
})
