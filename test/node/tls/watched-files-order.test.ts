import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FILES_LOOK_MS, WatchedFiles } from '../../../src/node/tls/watched-files.js'
import { atEnd } from '../../support/at-end.js'
import { ManualClock } from '../../support/manual-clock.js'
import { until } from '../../support/wait.js'

/** A watched file; `put` renames a new one into its place. */
async function watched() {
  const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
  atEnd(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'file')
  const put = (text: string): void => {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
  put('first')
  const taken: string[] = []
  const clock = new ManualClock()
  const read = ([text = '']: readonly string[]): string => text
  const files = new WatchedFiles({
    ...{ paths: [path], read, clock },
    changed: (text) => taken.push(text),
    refused: () => {},
  })
  atEnd(() => files.close())
  await files.open()
  return { files, put, taken, clock }
}

describe('WatchedFiles', () => {
  it('takes what was read last, however many reloads are asked for at once', async () => {
    const { files, put, taken } = await watched()
    const reloads: Promise<void>[] = []
    for (let count = 1; count <= 50; count += 1) {
      put(`number ${count}`)
      reloads.push(files.reload())
      // the one before is in the middle of its reading by then, more or less
      if (count % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(reloads)
    const numbers = taken.slice(1).map((text) => Number(text.replace('number ', '')))
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    expect(taken).toHaveLength(51)
    expect(taken.at(-1)).toBe('number 50')
  })

  it('looks again by itself after a reload', async () => {
    const { files, put, taken, clock } = await watched()
    put('second')
    await files.reload()
    put('third')
    clock.advance(FILES_LOOK_MS)
    await until(() => taken.length === 3)
    expect(taken).toEqual(['first', 'second', 'third'])
    await until(() => clock.pending === 1)
  })
})
