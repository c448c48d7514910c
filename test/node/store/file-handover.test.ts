import { execFileSync } from 'node:child_process'
import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { UsageGrowth } from '../../../src/handover.js'
import { removeUnfinishedLike } from '../../../src/node/store/durable-files.js'
import {
  DRAIN_OVERDUE_MS,
  FileHandover,
  MAX_DRAINING,
  MAX_ENDED_BYTES,
  MAX_LEFT_BYTES,
  MAX_LEFT_FILES,
} from '../../../src/node/store/file-handover.js'
import { mayAsk } from '../../../src/node/store/store-owner.js'
import { TokenSeal } from '../../../src/node/store/token-seal.js'
import { packageVersion } from '../../../src/node/system/package-version.js'
import { ownIdentity } from '../../../src/node/system/process-identity.js'
import { memoryFolder } from '../../support/memory-folder.js'

const seal = new TokenSeal(createSecretKey(randomBytes(32)))
const IDLE = { clients: 0, streams: 0 }
const LATER = Date.now() + 3_600_000

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(memoryFolder(), 'linksocks-handover-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const handover = (...taken: readonly string[]): FileHandover => new FileHandover({ directory, seal, taken })
const growthOf = (up: number): UsageGrowth => ({ ab: { total: [up, 0], days: {}, months: { '2030-01': [up, 0] } } })
const names = async (): Promise<readonly string[]> => (await readdir(directory)).sort()

describe('the record of a process that drains', () => {
  it('is seen by others and not by itself, with what it carries, until it ends', async () => {
    const [old, next] = [handover(), handover()]
    const record = await old.beginDrain(LATER, { clients: 1, streams: 2 })
    expect(await next.draining()).toEqual([
      {
        ...{ pid: process.pid, version: packageVersion(), clients: 1, streams: 2 },
        ...{ since: expect.any(Number), until: LATER },
      },
    ])
    expect(await old.draining()).toEqual([])
    await record.show({ clients: 0, streams: 1 })
    expect(await next.draining()).toMatchObject([{ clients: 0, streams: 1 }])
    await Promise.all([record.show(IDLE), record.end(), record.show(IDLE), record.end()])
    expect([await next.draining(), await names()]).toEqual([[], []])
  })

  it('is announced, so that nobody asks for it', async () => {
    await handover().leaving()
    expect(await mayAsk(directory, ownIdentity())).toBe(false)
    // and a directory that is gone holds nothing up
    await rm(directory, { recursive: true })
    await handover().leaving()
  })

  it('may end between two milliseconds', async () => {
    await handover().beginDrain(LATER + 0.25, IDLE)
    expect(await handover().draining()).toMatchObject([{ until: LATER + 1 }])
  })

  it('is removed when its process must have been killed, or when it is none', async () => {
    await handover().beginDrain(Date.now() - DRAIN_OVERDUE_MS - 1, IDLE)
    const sound = { pid: 1, version: '1', since: 1, until: LATER, ...IDLE }
    const wrong = [
      ...['', '{}', 'null', '[]', '"x"', '{'],
      ...Object.keys(sound).map((field) => JSON.stringify({ ...sound, [field]: undefined })),
      ...[-1, 1.5, 2 ** 60, '1'].map((streams) => JSON.stringify({ ...sound, streams })),
      // no date can hold these
      ...['since', 'until'].map((field) => JSON.stringify({ ...sound, [field]: 8_640_000_000_000_001 })),
    ]
    for (const [index, text] of wrong.entries()) await writeFile(drainFile(index), text)
    expect(await handover().draining()).toEqual([])
    expect(await names()).toEqual([])
  })

  it.runIf(process.platform === 'linux')('is removed as soon as its process is gone', async () => {
    await handover().beginDrain(LATER, IDLE)
    const [name = ''] = await names()
    const path = join(directory, name)
    const { start, ...record } = JSON.parse(await readFile(path, 'utf8'))
    expect(start).toBe(ownIdentity().start)
    // of before there was one, or of a system without
    await writeFile(path, JSON.stringify(record))
    expect(await handover().draining()).toHaveLength(1)
    // its number is that of a later process
    await writeFile(path, JSON.stringify({ ...record, start: `${start}1` }))
    expect([await handover().draining(), await names()]).toEqual([[], []])
  })

  it('is passed over where it is too long or can not be read', async () => {
    await writeFile(drainFile(1), `{}${' '.repeat(5_000)}`)
    await mkdir(drainFile(2))
    await symlink(drainFile(1), drainFile(3))
    execFileSync('mkfifo', [drainFile(4)])
    expect(await handover().draining()).toEqual([])
    expect(await names()).toHaveLength(4)
  })

  it('is one of so many at most that are shown, the oldest first', async () => {
    const sound = { pid: 1, version: '1', until: LATER, ...IDLE }
    for (let each = 0; each <= MAX_DRAINING; each += 1)
      await writeFile(drainFile(each), JSON.stringify({ ...sound, since: 1_000 - each }))
    const shown = await handover().draining()
    expect(shown).toHaveLength(MAX_DRAINING)
    expect(shown.map(({ since }) => since)).toEqual(shown.map(({ since }) => since).sort((a, b) => a - b))
  })

  it('begins where nothing can be written, says so, and is seen once it can', async () => {
    await rm(directory, { recursive: true })
    const record = await handover().beginDrain(LATER, IDLE)
    expect([record.failure?.code, await handover().draining()]).toEqual(['ERR_NOT_STORED', []])
    await mkdir(directory)
    await record.show(IDLE)
    await record.leave(growthOf(1), true)
    expect([(await handover().draining()).length, (await handover().left()).length]).toEqual([1, 1])
  })
})

describe('what counters grew by in a process that drains', () => {
  it('is found in the order in which it was left, each until it is removed', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    for (const up of [1, 2, 3]) await record.leave(growthOf(up), false)
    const left = await handover().left()
    expect(await Promise.all(left.map((each) => each.read()))).toEqual([1, 2, 3].map(growthOf))
    await left[0]?.remove()
    await left[0]?.remove()
    expect((await handover().left()).map(({ name }) => name)).toEqual(left.slice(1).map(({ name }) => name))
  })

  it('can be read by nobody without the key', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    await record.leave(growthOf(12_345), true)
    const [name = ''] = (await names()).filter((each) => each.startsWith('usage'))
    expect((await readFile(join(directory, name))).includes('total')).toBe(false)
  })

  it('is not found again once it was taken, and its file is removed', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    await record.leave(growthOf(1), false)
    await record.leave(growthOf(2), false)
    const [first, second] = await handover().left()
    const next = handover(first?.name ?? '')
    expect((await next.left()).map(({ name }) => name)).toEqual([second?.name])
    expect(await names()).not.toContain(first?.name)
    // its name needs no room any more
    expect(next.takenWith('another')).toEqual(['another'])
  })

  it('is remembered while its file can not be removed', async () => {
    const name = `usage-${'0'.repeat(16)}-000000.sealed`
    const stuck = join(directory, name)
    await mkdir(join(stuck, 'in the way'), { recursive: true })
    const next = handover(name)
    expect(await next.left()).toEqual([])
    next.noteTaken('second')
    expect(next.takenWith('third')).toEqual([name, 'second', 'third'])
    await rm(stuck, { recursive: true })
    expect([await next.left(), next.takenWith('third')]).toEqual([[], ['third']])
  })

  it('is put aside where it is damaged, cut, of another name or of another key', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    for (const up of [1, 2, 3, 4]) await record.leave(growthOf(up), false)
    const [one, two, three, four] = (await handover().left()).map(({ name }) => join(directory, name))
    const bytes = await readFile(one ?? '')
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    await writeFile(one ?? '', bytes)
    await truncate(two ?? '', 10)
    await rename(three ?? '', four ?? '')
    const other = new FileHandover({
      directory,
      seal: new TokenSeal(createSecretKey(randomBytes(32))),
      taken: [],
    })
    const last = await handover().beginDrain(LATER, IDLE)
    await last.leave(growthOf(5), false)
    for (const left of await other.left()) {
      await expect(left.read()).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(/is damaged: it is left out, and kept as .*\.damaged$/),
      })
    }
    expect(await other.left()).toEqual([])
    expect((await names()).filter((name) => name.endsWith('.damaged'))).toHaveLength(4)
  })

  it('is not read from what is no file, nor removed', async () => {
    const name = `usage-${'0'.repeat(16)}-000000.sealed`
    const path = join(directory, name)
    execFileSync('mkfifo', [path])
    const [pipe] = await handover().left()
    await expect(pipe?.read()).rejects.toMatchObject({ code: 'ERR_STORE' })
    await rm(path)
    await mkdir(path)
    const [folder] = await handover().left()
    await expect(folder?.read()).rejects.toMatchObject({ code: 'ERR_STORE' })
    await folder?.remove()
    expect(await names()).toEqual([name])
  })

  it('is left though a process that opens the directory sweeps unfinished files away', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    let open = true
    const sweeping = (async () => {
      while (open) await removeUnfinishedLike(directory, /^usage/)
    })()
    const outcomes: string[] = []
    for (let each = 0; each < 50; each += 1) {
      // two sweeps are two processes: that may fail
      await record.leave(growthOf(1), false).then(
        () => outcomes.push('left'),
        () => outcomes.push('failed'),
      )
    }
    open = false
    await sweeping
    expect(await handover().left()).toHaveLength(outcomes.filter((one) => one === 'left').length)
    expect((await names()).filter((name) => name.includes('.new-'))).toEqual([])
  })

  it('is refused where what is sealed is no growth', async () => {
    const texts = [
      'null',
      '[]',
      '{"ab":1}',
      '{"ab":{"total":[1],"days":{},"months":{}}}',
      '{"ab":{"total":[1,-1],"days":{},"months":{}}}',
    ]
    for (const [index, text] of texts.entries()) {
      const name = `usage-${'0'.repeat(16)}-${String(index).padStart(6, '0')}.sealed`
      await writeFile(join(directory, name), seal.seal(Buffer.from(text), name))
    }
    const left = await handover().left()
    expect(left).toHaveLength(texts.length)
    for (const each of left) await expect(each.read()).rejects.toMatchObject({ code: 'ERR_STORE' })
  })

  it('is not read beyond its size, and stays', async () => {
    const name = `usage-${'0'.repeat(16)}-000000.sealed`
    await writeFile(join(directory, name), '')
    await truncate(join(directory, name), MAX_LEFT_BYTES + 1)
    const [left] = await handover().left()
    await expect(left?.read()).rejects.toMatchObject({ code: 'ERR_STORE' })
    expect(await names()).toEqual([name])
  })

  it('is told not to be kept where the directory is gone', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    await rm(directory, { recursive: true })
    await expect(record.leave(growthOf(1), true)).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
    await expect(handover().left()).rejects.toMatchObject({ code: 'ERR_STORE' })
    await record.show(IDLE)
    await record.end()
  })

  it('is left in so many files at most, and at the end in one more', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    for (let each = 0; each < MAX_LEFT_FILES; each += 1) await record.leave(growthOf(1), false)
    await expect(record.leave(growthOf(2), false)).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
    await record.leave(growthOf(2), true)
    const left = await handover().left()
    expect(left).toHaveLength(MAX_LEFT_FILES + 1)
    expect(await left.at(-1)?.read()).toEqual(growthOf(2))
  })

  it('leaves other files alone', async () => {
    const others = [
      'usage-1.sealed',
      'usage-x-000000.sealed',
      'draining.json',
      'usage-0000000000000000-000000.sealed.damaged',
    ]
    for (const name of others) await writeFile(join(directory, name), 'other')
    expect([await handover().left(), await handover().draining()]).toEqual([[], []])
    expect(await names()).toEqual([...others].sort())
  })
})

describe('the list of tokens that ended', () => {
  it('is told to those that drained before, each of them once', async () => {
    const [old, next] = [handover(), handover()]
    const record = await old.beginDrain(LATER, IDLE)
    expect(await record.ended()).toEqual([])
    const now = Date.now() + 1
    await next.end(
      new Map([
        ['before', 1],
        ['one', now],
      ]),
    )
    expect(await record.ended()).toEqual(['one'])
    await next.end(
      new Map([
        ['one', now],
        ['two', now],
      ]),
    )
    // a third one has a list of its own
    await handover().end(new Map([['three', now]]))
    expect([...(await record.ended())].sort()).toEqual(['three', 'two'])
    expect(await record.ended()).toEqual([])
    await next.forgetEnded()
    expect(await names()).toHaveLength(1)
  })

  it('is believed only where the key made it for this name', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    const name = `ended-${'0'.repeat(16)}.sealed`
    const texts = ['null', '[1]', '{"one":"soon"}', '{"one":-1}']
    const wrong = [
      Buffer.from(JSON.stringify({ one: LATER })),
      seal.seal(Buffer.from(JSON.stringify({ one: LATER })), 'another name'),
      ...texts.map((text) => seal.seal(Buffer.from(text), name)),
    ]
    for (const bytes of wrong) {
      await writeFile(join(directory, name), bytes)
      expect(await record.ended()).toEqual([])
    }
    await truncate(join(directory, name), MAX_ENDED_BYTES + 1)
    expect(await record.ended()).toEqual([])
  })

  it('is not kept where the directory is gone', async () => {
    const record = await handover().beginDrain(LATER, IDLE)
    await rm(directory, { recursive: true })
    await expect(handover().end(new Map())).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
    await handover().forgetEnded()
    expect(await record.ended()).toEqual([])
  })
})

function drainFile(n: number): string {
  return join(directory, `draining-${n.toString(16).padStart(16, '0')}.json`)
}
