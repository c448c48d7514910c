import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { removeUnfinishedLike, UNFINISHED_FOR_MS, unfinishedName } from '../../../src/node/store/durable-files.js'
import { HANDOVER_FILES } from '../../../src/node/store/file-handover.js'
import { memoryFolder } from '../../support/memory-folder.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(memoryFolder(), 'linksocks-files-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe('what was left unfinished', () => {
  it('is removed once no process can be writing it any more, and finished files stay', async () => {
    const usage = `usage-${'0'.repeat(16)}-000000.sealed`
    const old = (Date.now() - UNFINISHED_FOR_MS - 1_000) / 1_000
    const written = unfinishedName(usage)
    for (const name of [usage, written, unfinishedName(usage), unfinishedName('owner.json')]) {
      await writeFile(join(directory, name), '')
      if (name !== written) await utimes(join(directory, name), old, old)
    }
    await removeUnfinishedLike(directory, HANDOVER_FILES)
    expect((await readdir(directory)).sort()).toEqual([usage, written])
  })
})
