import { describe, expect, it } from 'vitest'
import { encodeDatagram, MessageType } from '../../../src/protocol/messages.js'
import { UnknownChannels } from '../../../src/relay/admission/unknown-channels.js'
import { ManualClock } from '../../support/manual-clock.js'

/** Channels whose last answer is remembered. */
const REMEMBERED = 1_024

function setUp() {
  const clock = new ManualClock()
  const unknown = new UnknownChannels(clock)
  /** Data of the `n`th channel. @returns whether it is answered */
  const ask = (n: number): boolean => {
    const channelId = new Uint8Array(16)
    new DataView(channelId.buffer).setUint32(0, n)
    return unknown.answer(encodeDatagram({ channelId, data: Uint8Array.of(1) }), MessageType.Data) !== undefined
  }
  return { clock, ask }
}

describe('UnknownChannels', () => {
  it('answers a channel again after a second', () => {
    const { clock, ask } = setUp()
    expect([ask(1), ask(1), ask(2)]).toEqual([true, false, true])
    clock.advance(999)
    expect(ask(1)).toBe(false)
    clock.advance(1)
    expect([ask(1), ask(1)]).toEqual([true, false])
  })

  it('forgets the channel that was answered longest ago at its limit', () => {
    const { ask } = setUp()
    for (let n = 0; n < REMEMBERED; n += 1) ask(n)
    expect([ask(0), ask(REMEMBERED - 1)]).toEqual([false, false])
    expect([ask(REMEMBERED), ask(1), ask(0)]).toEqual([true, false, true])
    expect([ask(1), ask(REMEMBERED)]).toEqual([true, false])
  })
})
