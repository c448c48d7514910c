import { describe, expect, it } from 'vitest'
import { MAX_PROBE_ANSWERS, PROBE_FORGIVEN_MS, ProbeAnswers } from '../../src/mux/probe-answers.js'
import { decodeMessage, encodeLog, encodePartners, type Message, MessageType } from '../../src/protocol/messages.js'
import { ManualClock } from '../support/manual-clock.js'
import { ScriptedPeer } from './fixture.js'

const log = (message: string, level = 'trace'): Message => ({ type: MessageType.Log, level, message })
const text = (raw: Uint8Array | undefined): string => (raw === undefined ? '' : new TextDecoder().decode(raw))
const PONG = String.raw`{"level":"trace","msg":"pong:{\"version\":\"9.8.7\"}"}`

function setUp() {
  const clock = new ManualClock()
  return { clock, answers: new ProbeAnswers(clock, '9.8.7') }
}

describe('ProbeAnswers', () => {
  it.each(['probe:', 'probe:abc'])('answers %s with the version, as deployed programs do', (probe) => {
    expect(text(setUp().answers.answer(log(probe)))).toContain(PONG)
  })

  it.each([
    ['another level', log('probe:abc', 'debug')],
    ['another text', log('a probe:abc')],
    ['no colon', log('probe')],
    ['an answer', log('pong:{"version":"v1.10.3"}')],
    ['another message', { type: MessageType.Partners, count: 1 } as const],
  ])('answers nothing to %s', (_name, message) => {
    expect(setUp().answers.answer(message)).toBeUndefined()
  })

  it('answers so many at once, then one a second', () => {
    const { clock, answers } = setUp()
    const count = (probes: number): number =>
      Array.from({ length: probes }, () => answers.answer(log('probe:'))).filter((raw) => raw !== undefined).length
    expect([count(MAX_PROBE_ANSWERS), count(100)]).toEqual([MAX_PROBE_ANSWERS, 0])
    clock.advance(PROBE_FORGIVEN_MS - 1)
    expect(count(1)).toBe(0)
    clock.advance(1)
    expect(count(100)).toBe(1)
    clock.advance(MAX_PROBE_ANSWERS * PROBE_FORGIVEN_MS)
    expect(count(100)).toBe(MAX_PROBE_ANSWERS)
  })

  it('writes a version with quotes as JSON', () => {
    const answered = new ProbeAnswers(new ManualClock(), 'a"b').answer(log('probe:'))
    const message = answered === undefined ? undefined : decodeMessage(answered)
    expect(message).toEqual(log('pong:{"version":"a\\"b"}'))
  })
})

describe('Session', () => {
  const probe = encodeLog({ level: 'trace', message: 'probe:1' })

  it('answers probes up to the limit, and its handler sees each', async () => {
    const seen: Message[] = []
    const peer = new ScriptedPeer({ version: '9.8.7', handler: { control: (message) => seen.push(message) } })
    await peer.send(...Array.from({ length: MAX_PROBE_ANSWERS + 5 }, () => probe), encodePartners({ count: 1 }))
    expect(peer.of(MessageType.Log)).toEqual(
      Array.from({ length: MAX_PROBE_ANSWERS }, () => log('pong:{"version":"9.8.7"}')),
    )
    expect(seen).toHaveLength(MAX_PROBE_ANSWERS + 6)
  })

  it('answers no probe without a version', async () => {
    const peer = new ScriptedPeer()
    await peer.send(probe)
    expect(peer.received).toEqual([])
  })
})
