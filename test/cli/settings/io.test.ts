import { describe, expect, it } from 'vitest'
import { type CliIo, processIo } from '../../../src/cli/settings/io.js'
import { atEnd } from '../../support/at-end.js'

/** The real thing; what it listens for on the standard streams is taken away again. */
function openIo(signals: readonly NodeJS.Signals[]): CliIo {
  for (const stream of [process.stdout, process.stderr]) {
    const before = stream.listeners('error')
    atEnd(() => {
      for (const listener of stream.listeners('error')) {
        if (!before.includes(listener)) stream.off('error', listener as () => void)
      }
    })
  }
  return processIo(signals)
}

describe('processIo', () => {
  it('hears of a hang-up as a request to reload where it is no request to end', () => {
    const before = process.listenerCount('SIGHUP')
    const io = openIo(['SIGINT', 'SIGTERM'])
    const heard: string[] = []
    const ignoreFirst = io.onReload?.(() => heard.push('first'))
    const ignoreSecond = io.onReload?.(() => heard.push('second'))
    process.emit('SIGHUP')
    ignoreFirst?.()
    ignoreFirst?.()
    process.emit('SIGHUP')
    ignoreSecond?.()
    expect(heard).toEqual(['first', 'second', 'second'])
    expect(process.listenerCount('SIGHUP')).toBe(before)
  })

  it('hears of none where a hang-up ends the process', () => {
    const before = process.listenerCount('SIGHUP')
    const io = openIo(['SIGINT', 'SIGHUP'])
    const heard: string[] = []
    const ignoreReload = io.onReload?.(() => heard.push('reload'))
    const ignoreSignal = io.onSignal((signal) => heard.push(signal))
    process.emit('SIGHUP', 'SIGHUP')
    ignoreReload?.()
    ignoreSignal()
    expect(heard).toEqual(['SIGHUP'])
    expect(process.listenerCount('SIGHUP')).toBe(before)
  })
})
