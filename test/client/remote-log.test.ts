import { describe, expect, it } from 'vitest'
import { RemoteLog } from '../../src/client/remote-log.js'
import { MessageType } from '../../src/protocol/messages.js'
import { ManualClock } from '../support/manual-clock.js'
import { LogRecorder } from './fixture.js'

function setUp() {
  const clock = new ManualClock()
  const log = new LogRecorder()
  const remote = new RemoteLog(log, clock)
  const write = (message: string, level = 'info'): void => remote.write({ type: MessageType.Log, level, message })
  return { clock, log, remote, write }
}

describe('RemoteLog', () => {
  it.each([
    ['trace', 'debug'],
    ['debug', 'debug'],
    ['info', 'info'],
    ['warn', 'warn'],
    ['error', 'warn'],
    ['fatal', 'debug'],
  ])('shows level %s as %s: a peer raises no error here', (level, shown) => {
    const { log, write } = setUp()
    write('text', level)
    expect(log.lines).toEqual([{ level: shown, event: 'remote.log', fields: { remote: 'text' } }])
  })

  it('escapes and cuts the text', () => {
    const { log, write } = setUp()
    write(`\u001b]0;x\u0007\u202e${'a'.repeat(600)}`)
    expect(log.of('remote.log')[0]?.remote).toMatch(/^\\u\{1b\}\]0;x\\u\{7\}\\u\{202e\}a+\.\.\.$/)
    expect(String(log.of('remote.log')[0]?.remote).length).toBeLessThan(560)
  })

  it('shows 20 lines in 10 s, Partners included, then counts the rest and says how many', () => {
    const { clock, log, remote, write } = setUp()
    for (let line = 0; line < 19; line += 1) write('line')
    for (let count = 0; count < 6; count += 1) remote.partners({ type: MessageType.Partners, count })
    clock.advance(9_999)
    write('too early')
    expect([log.of('remote.log').length, log.of('partners')]).toEqual([19, [{ count: 0 }]])
    clock.advance(1)
    write('again')
    expect(log.of('remote.suppressed')).toEqual([{ lines: 6 }])
    expect(log.of('remote.log')).toHaveLength(20)
  })

  it('says nothing of suppressed lines when there are none', () => {
    const { clock, log, write } = setUp()
    write('one')
    clock.advance(10_000)
    write('two')
    expect(log.lines.map(({ event }) => event)).toEqual(['remote.log', 'remote.log'])
  })
})
