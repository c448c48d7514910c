import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { MAX_PEM_BYTES } from '../../../src/node/tls/certificate-pair.js'
import { FILES_LOOK_MS, WatchedFiles } from '../../../src/node/tls/watched-files.js'
import { atEnd } from '../../support/at-end.js'
import { ManualClock } from '../../support/manual-clock.js'
import { until } from '../../support/wait.js'

/** A stand-in for PEM: which certificate it is, and an end. */
const text = (what: string): string => `${what}.`

interface Setting {
  /** Where the two files are. @default in the folder itself */
  readonly paths?: (folder: string) => readonly string[]
  /** Before the first look. */
  readonly prepare?: (folder: string) => Promise<unknown>
  readonly onRead?: () => void
}

async function setUp({ paths, prepare, onRead }: Setting = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'linksocks-watched-'))
  atEnd(() => rm(folder, { recursive: true }))
  const [cert = '', key = ''] = paths?.(folder) ?? [join(folder, 'cert'), join(folder, 'key')]
  const put = async (certificate: string, ofKey = certificate): Promise<void> => {
    await replace(cert, text(certificate))
    await replace(key, text(ofKey))
  }
  await (prepare?.(folder) ?? put('first'))
  const clock = new ManualClock()
  const taken: string[] = []
  const refused: string[] = []
  const files = new WatchedFiles<string>({
    paths: [cert, key],
    read: ([certificate = '', ofKey = '']) => {
      onRead?.()
      if (!certificate.endsWith('.') || !ofKey.endsWith('.')) throw new LinkSocksError('ERR_OPTION', 'not whole')
      if (certificate !== ofKey) throw new LinkSocksError('ERR_OPTION', `${certificate} is not ${ofKey}`)
      return certificate.slice(0, -1)
    },
    changed: (content) => void taken.push(content),
    refused: (reason) => void refused.push(reason),
    clock,
  })
  atEnd(() => files.close())
  /** Looks once, and waits until that is done. */
  const look = async (): Promise<void> => {
    clock.advance(FILES_LOOK_MS)
    await until(() => clock.pending === 1)
  }
  return { folder, cert, key, put, clock, taken, refused, files, look }
}

/** As a program does that leaves no half file. */
async function replace(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content)
  await rename(`${path}.new`, path)
}

describe('WatchedFiles', () => {
  it('takes what is there at first, and what it is changed to at the next look', async () => {
    const { files, taken, refused, put, clock, look } = await setUp()
    await files.open()
    expect(taken).toEqual(['first'])
    await put('second')
    clock.advance(FILES_LOOK_MS - 1)
    expect(clock.pending).toBe(1)
    clock.advance(1)
    await until(() => clock.pending === 1)
    expect(taken).toEqual(['first', 'second'])
    await look()
    await put('third')
    await look()
    expect([taken, refused]).toEqual([['first', 'second', 'third'], []])
  })

  it('reads nothing as long as nothing changes', async () => {
    let reads = 0
    const { files, look } = await setUp({ onRead: () => (reads += 1) })
    await files.open()
    for (let i = 0; i < 3; i += 1) await look()
    expect(reads).toBe(1)
  })

  it('gives a file that is half written until the next look', async () => {
    const { files, taken, refused, put, cert, look } = await setUp()
    await files.open()
    await writeFile(cert, 'sec')
    await look()
    expect([taken, refused]).toEqual([['first'], []])
    await put('second')
    await look()
    expect([taken, refused]).toEqual([['first', 'second'], []])
  })

  it('gives it as long as it grows, and refuses it once when it does not any more', async () => {
    const { files, taken, refused, put, cert, look } = await setUp()
    await files.open()
    for (const half of ['s', 'se', 'sec']) {
      await writeFile(cert, half)
      await look()
    }
    expect(refused).toEqual([])
    for (let i = 0; i < 3; i += 1) await look()
    expect([taken, refused]).toEqual([['first'], ['not whole']])
    await put('second')
    await look()
    expect([taken, refused]).toEqual([['first', 'second'], ['not whole']])
  })

  it('waits for the second file when the first one is new', async () => {
    const { files, taken, refused, cert, key, look } = await setUp()
    await files.open()
    await replace(cert, text('second'))
    await look()
    await replace(key, text('second'))
    await look()
    expect([taken, refused]).toEqual([['first', 'second'], []])
  })

  it('refuses two that do not belong together, and takes the old ones again', async () => {
    const { files, taken, refused, put, look } = await setUp()
    await files.open()
    await put('second', 'other')
    await look()
    await look()
    expect([taken, refused]).toEqual([['first'], ['second. is not other.']])
    await put('first')
    await look()
    expect(taken).toEqual(['first', 'first'])
    await put('third', 'other')
    await look()
    await look()
    expect(refused).toEqual(['second. is not other.', 'third. is not other.'])
  })

  it('gives the same half file its time anew when the old one was back meanwhile', async () => {
    const { files, refused, folder, cert, look } = await setUp()
    await files.open()
    const [old, half] = [join(folder, 'old'), join(folder, 'half')]
    await writeFile(half, 'sec')
    for (let round = 0; round < 2; round += 1) {
      await rename(cert, old)
      await rename(half, cert)
      await look()
      await rename(cert, half)
      await rename(old, cert)
      await look()
    }
    expect(refused).toEqual([])
  })

  it('refuses files that are gone, and takes them when they are back', async () => {
    const { files, taken, refused, put, cert, key, look } = await setUp()
    await files.open()
    await rm(cert)
    await look()
    expect(refused).toEqual([])
    await look()
    expect(refused).toEqual([`can't read ${cert}: it is not there`])
    await put('first')
    await look()
    expect(taken).toEqual(['first', 'first'])
    await rm(key)
    await mkdir(key)
    await look()
    await look()
    expect(refused.slice(1)).toEqual([`can't read ${key}: it is a directory`])
  })

  it('follows links that are swapped, as of a volume of Kubernetes', async () => {
    const publish = async (folder: string, version: string): Promise<void> => {
      await mkdir(join(folder, version))
      for (const name of ['cert', 'key']) await writeFile(join(folder, version, name), text(version))
      await symlink(version, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    const { files, taken, refused, folder, look } = await setUp({
      paths: (at) => [join(at, 'cert'), join(at, 'key')],
      prepare: async (at) => {
        await publish(at, 'v1')
        for (const name of ['cert', 'key']) await symlink(join('..data', name), join(at, name))
      },
    })
    await files.open()
    // of the same size as the one before
    await publish(folder, 'v2')
    await rm(join(folder, 'v1'), { recursive: true })
    await look()
    expect([taken, refused]).toEqual([['v1', 'v2'], []])
  })

  it('takes a file of as many bytes as the limit, and none of more', async () => {
    const { files, taken, refused, cert, key, look } = await setUp()
    await files.open()
    const large = text('x'.repeat(MAX_PEM_BYTES - 1))
    await replace(cert, large)
    await replace(key, large)
    await look()
    expect(taken[1]?.length).toBe(MAX_PEM_BYTES - 1)
    await truncate(key, MAX_PEM_BYTES + 1)
    await look()
    await look()
    expect(refused).toEqual([`${key} is larger than ${MAX_PEM_BYTES} bytes`])
  })

  it.each([
    ['is not there', (cert: string) => rm(cert), (cert: string) => `can't read ${cert}: it is not there`],
    ['is not whole', (cert: string) => writeFile(cert, 'half'), () => 'not whole'],
  ])('does not open with a file that %s', async (_what, spoil, message) => {
    const { files, clock, cert, taken, refused } = await setUp()
    await spoil(cert)
    await expect(files.open()).rejects.toMatchObject({ code: 'ERR_OPTION', message: message(cert) })
    expect([taken, refused, clock.pending]).toEqual([[], [], 0])
  })
})

describe('WatchedFiles, asked to reload', () => {
  it('takes what is new at once, and looks on', async () => {
    const { files, taken, put, clock, look } = await setUp()
    await files.open()
    await put('second')
    await files.reload()
    expect([taken, clock.pending]).toEqual([['first', 'second'], 1])
    await look()
    await put('third')
    await look()
    expect(taken).toEqual(['first', 'second', 'third'])
  })

  it('refuses at once what can not be taken, and not once more at the next look', async () => {
    const { files, taken, refused, cert, look } = await setUp()
    await files.open()
    await writeFile(cert, 'half')
    await files.reload()
    expect([taken, refused]).toEqual([['first'], ['not whole']])
    await look()
    await look()
    expect(refused).toEqual(['not whole'])
    await files.reload()
    expect(refused).toEqual(['not whole', 'not whole'])
  })

  it('looks one time after the other: none has read before the one before it is done', async () => {
    let reads = 0
    const { files, taken, put, clock } = await setUp({ onRead: () => (reads += 1) })
    await files.open()
    await put('second')
    const reloads = [files.reload(), files.reload()]
    clock.advance(FILES_LOOK_MS)
    await reloads[0]
    expect(reads).toBe(2)
    await reloads[1]
    expect(reads).toBe(3)
    await until(() => clock.pending === 1)
    expect([reads, taken]).toEqual([3, ['first', 'second', 'second']])
  })
})

describe('WatchedFiles that are closed', () => {
  it('are not looked at any more', async () => {
    const { files, taken, put, clock } = await setUp()
    await files.open()
    files.close()
    files.close()
    expect(clock.pending).toBe(0)
    await put('second')
    await files.reload()
    expect(taken).toEqual(['first'])
  })

  it.each(['second', 'half'])('during a look give nothing more (%s)', async (content) => {
    const { files, taken, refused, put, cert, clock } = await setUp()
    await files.open()
    if (content === 'half') await writeFile(cert, 'half')
    else await put(content)
    const reloaded = files.reload()
    clock.advance(FILES_LOOK_MS)
    files.close()
    await reloaded
    await files.reload()
    expect([taken, refused, clock.pending]).toEqual([['first'], [], 0])
  })

  it('when they were read do not judge it', async () => {
    const running: { close?: () => void } = {}
    const { files, taken, refused, put } = await setUp({ onRead: () => running.close?.() })
    await files.open()
    await put('second')
    running.close = () => files.close()
    await files.reload()
    expect([taken, refused]).toEqual([['first'], []])
  })
})
