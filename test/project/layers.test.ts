import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type LintResult, lint } from './lint.js'
import { CORE, LAYERS, LEAVES, mayImport, ROOMS, type Room } from './rooms.js'
import { inFolder, ROOT, readJson, run, tool } from './support.js'

/** One planted line and whether the lint has to complain about it. */
interface Planted {
  readonly line: string
  readonly refused: boolean
}

const IMPORTS = 'style/noRestrictedImports'
const GLOBALS = 'style/noRestrictedGlobals'

const FORMS: readonly ((specifier: string) => string)[] = [
  (specifier) => `import '${specifier}'`,
  (specifier) => `import { a } from '${specifier}'`,
  (specifier) => `import type { A } from '${specifier}'`,
  (specifier) => `export * from '${specifier}'`,
  (specifier) => `export type { A } from '${specifier}'`,
  (specifier) => `await import('${specifier}')`,
]

/** How a file of `from` names a file of `to`. */
function specifier(from: Room, to: Room): string {
  if (from === to) return './beside.js'
  const up = from === 'index' ? './' : '../'
  return to === 'index' ? `${up}index.js` : `${up}${to}/x.js`
}

function leaf(from: Room, name: string): string {
  return `${from === 'index' ? './' : '../'}${name}.js`
}

function plantedFile(room: Room): string {
  return room === 'index' ? 'src/planted.ts' : `src/${room}/planted.ts`
}

/** Around the rule: other spellings of the same path, the package's own name, folders that are no part of the library. */
function detours(room: Room): readonly string[] {
  const up = room === 'index' ? './' : '../'
  const roundabout = `${up}errors/../cli/x.js`
  return [`./.${up}cli/x.js`, roundabout, 'linksocks', `${up}../test/support/x.js`, `${up}../dashboard/x.js`, 'vitest']
}

function packages(room: Room): readonly Planted[] {
  const node = room === 'node' || room === 'cli'
  return [
    ...['node:net', 'node:fs/promises'].map((name) => ({ line: `import '${name}'`, refused: !node })),
    { line: `import 'ws'`, refused: room !== 'node' },
    { line: `await import('libsql')`, refused: room !== 'node' },
    { line: `import 'net'`, refused: true },
    { line: `import 'commander'`, refused: room !== 'cli' },
    { line: `import 'string-width'`, refused: room !== 'cli' },
    { line: `import 'valibot'`, refused: room !== 'api' },
  ]
}

function plant(room: Room): readonly Planted[] {
  return [
    ...LEAVES.map((name) => ({ line: `import '${leaf(room, name)}'`, refused: false })),
    ...ROOMS.flatMap((to) => FORMS.map((form) => ({ line: form(specifier(room, to)), refused: !mayImport(room, to) }))),
    ...detours(room).map((path) => ({ line: `import '${path}'`, refused: true })),
    ...packages(room),
  ]
}

function text(lines: readonly Planted[]): string {
  return lines.map(({ line }) => `${line}\n`).join('')
}

function refusedLines(lines: readonly Planted[], complaints: readonly number[] | undefined): readonly string[] {
  return lines.filter((_, index) => complaints?.includes(index + 1)).map(({ line }) => line)
}

/** Uses of globals that the core rooms may not have. */
const USES = [
  'setTimeout(f, 1)',
  'Buffer.alloc(1)',
  'process.exit()',
  'Date.now()',
  'crypto.randomUUID()',
  'fetch(a)',
  'globalThis.b',
]
const LEAF_IMPORTS = ['./errors.js', './log.js', './protocol/limits.js', './index.js', 'node:net', 'ws']
const PLANTED = new Map(ROOMS.map((room) => [plantedFile(room), plant(room)]))
const PORT_FILE = 'src/relay/port.ts'

const globalsFile = (room: Room) => `src/${room}/globals.ts`

/** One run of the lint, over all that is planted. */
let result: LintResult
beforeAll(async () => {
  const leaf = LEAF_IMPORTS.map((name) => `import '${name}'\n`).join('')
  const globals = USES.map((use) => `${use}\n`).join('')
  result = await lint(
    new Map([
      ...[...PLANTED].map(([file, lines]) => [file, text(lines)] as const),
      ...LEAVES.map((name) => [`src/${name}.ts`, leaf] as const),
      ...CORE.map((room) => [globalsFile(room), globals] as const),
      [PORT_FILE, 'export const now = (crypto: { now(): number }): number => crypto.now()\n'],
    ]),
  )
})

describe('layer rule', () => {
  for (const [file, lines] of PLANTED) {
    it(`refuses in ${file} what is not to its left and nothing else`, () => {
      const expected = lines.filter(({ refused }) => refused).map(({ line }) => line)
      expect(expected.length).toBeGreaterThan(0)
      expect(refusedLines(lines, result.of(IMPORTS).get(file))).toEqual(expected)
    })
  }

  it('lets errors and log import nothing, ports only errors', () => {
    const found = result.of(IMPORTS)
    expect(found.get('src/errors.ts')).toEqual([1, 2, 3, 4, 5, 6])
    expect(found.get('src/log.ts')).toEqual([1, 2, 3, 4, 5, 6])
    expect(found.get('src/ports.ts')).toEqual([2, 3, 4, 5, 6])
  })

  it('covers every folder of src', async () => {
    const entries = await readdir(join(ROOT, 'src'), { withFileTypes: true })
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
    expect(ROOMS).toEqual(expect.arrayContaining(folders))
  })

  it('has one layer order: every room stands in exactly one layer', () => {
    expect(new Set(ROOMS).size).toBe(ROOMS.length)
    expect(LAYERS.at(-1)).toEqual(['cli'])
  })
})

describe('core rooms', () => {
  it('may not use globals that stand for time, randomness, sockets or Node', () => {
    const found = result.of(GLOBALS)
    for (const room of CORE) expect(found.get(globalsFile(room)), room).toEqual(USES.map((_, index) => index + 1))
  })

  it('may take a port under the name of a global', () => {
    expect(result.of(GLOBALS).has(PORT_FILE)).toBe(false)
  })

  it('are all compiled without Node types', async () => {
    const config = await readJson<{ include: string[]; compilerOptions: { types: string[]; lib: string[] } }>(
      'tsconfig.core.json',
    )
    expect(config.include).toEqual([...LEAVES.map((name) => `src/${name}.ts`), ...CORE.map((room) => `src/${room}`)])
    expect(config.compilerOptions.types).toEqual([])
  })

  it('do not compile with Node in them', async () => {
    const tsconfig = { extends: join(ROOT, 'tsconfig.core.json'), include: ['*.ts'] }
    const files = new Map([
      ['package.json', '{ "type": "module" }'],
      ['tsconfig.json', JSON.stringify(tsconfig)],
      ['fine.ts', 'export const bytes = new TextEncoder().encode(new URL("ws://a").host)\n'],
      ['process.ts', 'export const home = process.env.HOME\n'],
      ['buffer.ts', 'export const bytes = Buffer.alloc(1)\n'],
      ['import.ts', "import { connect } from 'node:net'\nexport const open = connect\n"],
      ['type.ts', 'export type Socket = import("node:net").Socket\n'],
    ])
    const result = await inFolder(files, (folder) => run(tool('tsc'), ['-p', '.', '--pretty', 'false'], folder))
    const failed = [...result.stdout.matchAll(/^(\w+\.ts)\(\d+,\d+\): error TS/gm)].map(([, name]) => name)
    expect(result.code).not.toBe(0)
    expect([...new Set(failed)].sort()).toEqual(['buffer.ts', 'import.ts', 'process.ts', 'type.ts'])
  })
})
