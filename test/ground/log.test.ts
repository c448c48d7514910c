import { describe, expect, it } from 'vitest'
import { type LimitedLogOptions, type Logger, limitedLog, peerLog, remoteLog } from '../../src/log.js'
import { LogRecorder } from '../client/fixture.js'
import { ManualClock } from '../support/manual-clock.js'

function setUp(options?: LimitedLogOptions) {
  const clock = new ManualClock()
  const recorder = new LogRecorder()
  const limited = limitedLog(recorder, () => clock.now(), options)
  return { clock, recorder, limited }
}

function write(log: Logger, times: number): void {
  for (let line = 0; line < times; line += 1) log.info('line', { line })
}

describe('limitedLog', () => {
  it('writes each level as it is', () => {
    const { recorder, limited } = setUp()
    for (const level of ['debug', 'info', 'warn', 'error'] as const) limited[level]('event', { level })
    expect(recorder.lines.map(({ level, fields }) => [level, fields.level])).toEqual([
      ['debug', 'debug'],
      ['info', 'info'],
      ['warn', 'warn'],
      ['error', 'error'],
    ])
  })

  it('writes 50 lines of all levels in 10 s, and says with the next line how many it did not write', () => {
    const { clock, recorder, limited } = setUp()
    write(limited, 49)
    limited.debug('last')
    limited.error('over')
    clock.advance(9_999)
    limited.warn('over')
    expect([recorder.lines.length, recorder.lines.at(-1)?.event]).toEqual([50, 'last'])
    clock.advance(1)
    expect(recorder.lines).toHaveLength(50)
    limited.info('again')
    expect(recorder.lines.slice(50)).toEqual([
      { level: 'warn', event: 'log.suppressed', fields: { lines: 2 } },
      { level: 'info', event: 'again', fields: {} },
    ])
  })

  it('begins each period anew, and says nothing of one in which all was written', () => {
    const { clock, recorder, limited } = setUp()
    for (let period = 0; period < 3; period += 1) {
      write(limited, 50)
      clock.advance(10_000)
    }
    expect([recorder.lines.length, recorder.of('log.suppressed')]).toEqual([150, []])
  })

  it('takes another limit, and another event for what it did not write', () => {
    const { clock, recorder, limited } = setUp({ maxLines: 2, event: 'other.suppressed' })
    write(limited, 5)
    clock.advance(10_000)
    write(limited, 1)
    expect(recorder.of('line')).toHaveLength(3)
    expect(recorder.of('other.suppressed')).toEqual([{ lines: 3 }])
  })
})

describe('peerLog', () => {
  it('limits what a peer is warned of, and logs all that is for debugging', () => {
    const { recorder, limited } = setUp({ maxLines: 1 })
    const log = peerLog(recorder, limited)
    for (let line = 0; line < 3; line += 1) {
      log.debug('used')
      log.warn('warned')
    }
    limited.warn('warned')
    expect([recorder.of('used').length, recorder.of('warned').length]).toEqual([3, 1])
  })
})

describe('remoteLog', () => {
  it('writes 20 lines of a peer in 10 s, apart from 50 about it', () => {
    const { clock, recorder, limited } = setUp()
    const remote = remoteLog(recorder, () => clock.now())
    for (let line = 0; line < 60; line += 1) {
      remote.info('remote')
      limited.info('own')
    }
    clock.advance(10_000)
    remote.info('remote')
    expect([recorder.of('remote').length, recorder.of('own').length]).toEqual([21, 50])
    expect(recorder.of('remote.suppressed')).toEqual([{ lines: 40 }])
  })
})
