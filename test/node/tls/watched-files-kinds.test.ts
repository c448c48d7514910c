import { execFileSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { WatchedFiles } from '../../../src/node/tls/watched-files.js'
import { atEnd } from '../../support/at-end.js'
import { ManualClock } from '../../support/manual-clock.js'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'linksocks-'))
  atEnd(() => rmSync(made, { recursive: true }))
  return made
}

function watch(path: string) {
  const taken: string[] = []
  const refused: string[] = []
  const files = new WatchedFiles({
    ...{ paths: [path], clock: new ManualClock() },
    read: ([text = '']) => text,
    changed: (text) => taken.push(text),
    refused: (reason) => refused.push(reason),
  })
  atEnd(() => files.close())
  return { files, taken, refused }
}

describe('WatchedFiles', () => {
  it.skipIf(process.platform === 'win32')('refuses a FIFO without waiting for somebody who writes to it', async () => {
    const path = join(folder(), 'fifo')
    execFileSync('mkfifo', [path])
    await expect(watch(path).files.open()).rejects.toThrow(`${path} is no ordinary file`)
  })

  it.skipIf(process.platform === 'win32')('keeps what it has when a FIFO takes the place of the file', async () => {
    const path = join(folder(), 'file')
    writeFileSync(path, 'first')
    const { files, taken, refused } = watch(path)
    await files.open()
    execFileSync('mkfifo', [`${path}.new`])
    renameSync(`${path}.new`, path)
    await files.reload()
    expect(refused).toEqual([`${path} is no ordinary file, which could be read again`])
    rmSync(path)
    writeFileSync(path, 'second')
    await files.reload()
    expect(taken).toEqual(['first', 'second'])
  })

  it('refuses a directory', async () => {
    const path = folder()
    await expect(watch(path).files.open()).rejects.toThrow(`can't read ${path}: it is a directory`)
  })
})
