import { describe, expect, it } from 'vitest'
import { cachesOf, coldBytes, copySpeeds, headline } from '../../bench/lib/machine.mjs'
import { prepareTools } from '../../bench/lib/tools.mjs'
import { inFolder } from '../project/support.js'

const MIB = 1_048_576

function cache(index: number, level: string, type: string, size: string): [string, string][] {
  return Object.entries({ level, type, size }).map(([file, text]) => [`index${index}/${file}`, `${text}\n`])
}

const MACHINE = {
  cpu: 'Some CPU',
  cores: 2,
  cachesKiB: { L1d: 48, L2: 1_280, L3: 32_768 },
  memoryGiB: 24,
  kernel: 'Linux 6.1',
  node: 'v20.19.0',
}

describe('caches of the machine', () => {
  it('are read in the order of their levels, without the one of instructions', async () => {
    const files = new Map([
      ...cache(0, '3', 'Unified', '33M'),
      ...cache(1, '1', 'Data', '32K'),
      ...cache(2, '1', 'Instruction', '64K'),
      ...cache(3, '2', 'Unified', '1024K'),
      ['uevent', ''] as const,
    ])
    const caches = await inFolder(files, async (folder) => cachesOf(folder))
    expect(Object.entries(caches)).toEqual([
      ['L1d', 32],
      ['L2', 1_024],
      ['L3', 33_792],
    ])
  })

  it('are none where the kernel says nothing, or not all of it', async () => {
    expect(cachesOf('/does/not/exist')).toEqual({})
    const files = new Map([['index0/level', '1\n']])
    expect(await inFolder(files, async (folder) => cachesOf(folder))).toEqual({})
  })
})

describe('the area of cold copies', () => {
  it.each([
    ['four times the last cache', { L2: 1_024, L3: 32_768 }, 24 * 1_024, 128],
    ['64 MiB where the caches are small', { L2: 1_024 }, 24 * 1_024, 64],
    ['64 MiB where they are unknown', {}, 24 * 1_024, 64],
    ['512 MiB where they are huge', { L3: 1_048_576 }, 24 * 1_024, 512],
    ['an eighth of a small memory', { L3: 32_768 }, 512, 64],
    ['an eighth of a tiny memory', { L3: 32_768 }, 256, 32],
  ])('is %s', (_name, caches, memoryMib, mib) => {
    expect(coldBytes(caches, memoryMib * MIB)).toBe(mib * MIB)
  })
})

describe('copy test', () => {
  it('tells how fast hot and cold blocks are copied, in Node where there is no compiler', async () => {
    const speeds = await inFolder(new Map(), (folder) => copySpeeds(prepareTools(folder, true), { L3: 1 }))
    expect(speeds).toEqual({ hot: expect.any(Number), cold: expect.any(Number) })
    expect(Math.min(...Object.values(speeds ?? { none: 0 }))).toBeGreaterThan(0)
  })

  it('is left out of the run when it fails', async () => {
    const node = [process.execPath, '-e', 'process.exit(1)', '--']
    expect(await copySpeeds({ kind: 'Node', load: node, origin: node }, {})).toBeUndefined()
  })
})

describe('head of a run', () => {
  it('names processor, caches and copies', () => {
    expect(headline(MACHINE, { hot: 40.1, cold: 3.5 })).toBe(
      'Some CPU, 2 cores; L1d 48 KiB, L2 1.25 MiB, L3 32 MiB; copies 40.1 GB/s hot, 3.5 GB/s cold; 24 GiB; Linux 6.1; Node v20.19.0',
    )
  })

  it('says what it does not know', () => {
    expect(headline({ ...MACHINE, cores: 1, cachesKiB: {} }, undefined)).toMatch(
      /^Some CPU, 1 core; caches unknown; copies not measured; /,
    )
  })
})
