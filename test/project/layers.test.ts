import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { CORE, folderOf, isFile, LAYERS, mayImport, packagesOf, TABLE } from './layer-order.js'
import { type LintResult, lint } from './lint.js'
import { inFolder, ROOT, readJson, readText, run, tool } from './support.js'

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

/** The way from a layer's files to the root of `src`. */
function rootFrom(layer: string): string {
  return isFile(layer) ? './' : '../'.repeat(layer.split('/').length)
}

/** How a file of `from` names a file of `to`: as an editor writes it, the shortest way. */
function specifier(from: string, to: string): string {
  const [, fromSub] = from.split('/')
  const [, toSub] = to.split('/')
  if (from === to) return isFile(from) ? `./${from}.js` : './beside.js'
  if (folderOf(from) !== folderOf(to)) return `${rootFrom(from)}${isFile(to) ? to : `${to}/x`}.js`
  if (toSub === undefined) return '../x.js'
  return fromSub === undefined ? `./${toSub}/x.js` : `../${toSub}/x.js`
}

/** Files are planted over those of `src` that are a layer of their own. */
function plantedFile(layer: string): string {
  return isFile(layer) ? `src/${layer}.ts` : `src/${layer}/planted.ts`
}

/** Around the rule: other spellings of the same path, the package's own name, folders that are no part of the library. */
function detours(layer: string): readonly string[] {
  const up = rootFrom(layer)
  return [
    `./.${up}cli/x.js`,
    `${up}errors/../cli/x.js`,
    'linksocks',
    `${up}../test/support/x.js`,
    `${up}../dashboard/x.js`,
    'vitest',
  ]
}

const PACKAGES = [
  'ipaddr.js',
  'ws',
  'libsql',
  '@peculiar/x509',
  'reflect-metadata',
  'pino',
  'pino-pretty',
  'prom-client',
  'commander',
  'string-width',
  'valibot',
]

function packages(layer: string): readonly Planted[] {
  const allowed = packagesOf(layer)
  return [
    ...['node:net', 'node:fs/promises'].map((name) => ({
      line: `import '${name}'`,
      refused: !allowed.some((pattern) => pattern.startsWith('node:')),
    })),
    ...PACKAGES.map((name) => ({ line: `await import('${name}')`, refused: !allowed.includes(name) })),
    { line: `import 'net'`, refused: true },
  ]
}

function plant(layer: string): readonly Planted[] {
  return [
    ...LAYERS.filter((to) => !(isFile(layer) && to === layer)).flatMap((to) =>
      FORMS.map((form) => ({ line: form(specifier(layer, to)), refused: !mayImport(layer, to) })),
    ),
    ...detours(layer).map((path) => ({ line: `import '${path}'`, refused: true })),
    ...packages(layer),
  ]
}

function text(lines: readonly Planted[]): string {
  return lines.map(({ line }) => `${line}\n`).join('')
}

function refusedLines(lines: readonly Planted[], complaints: readonly number[] | undefined): readonly string[] {
  return lines.filter((_, index) => complaints?.includes(index + 1)).map(({ line }) => line)
}

/** Uses of globals that the core may not have. */
const USES = [
  'setTimeout(f, 1)',
  'Buffer.alloc(1)',
  'process.exit()',
  'Date.now()',
  'crypto.randomUUID()',
  'fetch(a)',
  'globalThis.b',
]
const PLANTED = new Map(LAYERS.map((layer) => [plantedFile(layer), plant(layer)]))
const CORE_FOLDERS = CORE.filter((layer) => !isFile(layer))
const CORE_FILES = CORE.filter(isFile)
const PORT_FILE = 'src/relay/port.ts'

const globalsFile = (layer: string) => `src/${layer}/globals.ts`

/** The lines of a core layer that is one file: its imports, and below them uses of globals. */
function planted(file: string, lines: readonly Planted[]): string {
  const isCoreFile = CORE_FILES.some((layer) => plantedFile(layer) === file)
  return text(lines) + (isCoreFile ? USES.map((use) => `${use}\n`).join('') : '')
}

/** One run of the lint, over all that is planted. */
let result: LintResult
beforeAll(async () => {
  const globals = USES.map((use) => `${use}\n`).join('')
  result = await lint(
    new Map([
      ...[...PLANTED].map(([file, lines]) => [file, planted(file, lines)] as const),
      ...CORE_FOLDERS.map((layer) => [globalsFile(layer), globals] as const),
      [PORT_FILE, 'export const now = (crypto: { now(): number }): number => crypto.now()\n'],
    ]),
  )
})

async function entriesOf(folder: string): Promise<{ readonly folders: string[]; readonly files: string[] }> {
  const entries = await readdir(join(ROOT, 'src', folder), { withFileTypes: true })
  return {
    folders: entries.filter((entry) => entry.isDirectory()).map(({ name }) => name),
    files: entries.filter((entry) => entry.isFile()).map(({ name }) => name),
  }
}

describe('layer rule', () => {
  for (const [file, lines] of PLANTED) {
    it(`refuses in ${file} imports of layers that are not below it, and no others`, () => {
      const expected = lines.filter(({ refused }) => refused).map(({ line }) => line)
      expect(expected.length).toBeGreaterThan(0)
      expect(refusedLines(lines, result.of(IMPORTS).get(file))).toEqual(expected)
    })
  }

  it('covers every file and folder at the root of src', async () => {
    const { folders, files } = await entriesOf('.')
    expect(TABLE.order.flat().sort()).toEqual([...folders, ...files.map((name) => name.replace(/\.ts$/, ''))].sort())
    expect(TABLE.files.filter((name) => !files.includes(`${name}.ts`))).toEqual([])
  })

  it('covers every sub-folder, and none has folders of its own', async () => {
    const folders = TABLE.order.flat().filter((name) => !isFile(name))
    for (const folder of folders) {
      const inside = (await entriesOf(folder)).folders
      expect([...(TABLE.inside[folder] ?? [])].flat().sort(), folder).toEqual(inside.sort())
      for (const sub of inside) expect((await entriesOf(join(folder, sub))).folders, `${folder}/${sub}`).toEqual([])
    }
  })

  it('is a total order: every layer stands in exactly one place', () => {
    expect(new Set(LAYERS).size).toBe(LAYERS.length)
    expect(TABLE.order.at(-1)).toEqual(['cli'])
  })

  it('keeps sub-folders that are nobody else’s to their own folder', () => {
    for (const layer of TABLE.internal) {
      const importers = LAYERS.filter((from) => from !== layer && mayImport(from, layer)).map(folderOf)
      expect(new Set(importers), layer).toEqual(new Set([folderOf(layer)]))
    }
  })

  it('is drawn in docs/architecture.md, which says of every layer what is in it', async () => {
    const page = await readText('docs/architecture.md')
    const section = page.slice(page.indexOf('## Layers'), page.indexOf('## Life of a connection'))
    const drawn = section.match(/(?<=\n\n)(?: {4}.+\n)+/)?.[0] ?? ''
    const order = drawn.trimEnd().split('\n').reverse()
    expect(order.map((line) => line.trim().split(/ {2,}/)[0]?.split(', '))).toEqual(TABLE.order)
    for (const [folder, inside] of Object.entries(TABLE.inside)) {
      const line = order.find((text) => new RegExp(`\\b${folder}\\b`).test(text)) ?? ''
      expect(line, folder).toContain(` ${inside.map((names) => names.join(', ')).join(' < ')}`)
    }
    const named = [...section.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, names = '']) => names.match(/[\w/-]+/g) ?? [])
    expect([...named].sort()).toEqual([...LAYERS].sort())
  })

  it('is written into the configuration of the lint by scripts/layers.mjs', async () => {
    const { code, stderr } = await run(process.execPath, ['scripts/layers.mjs', '--check'], ROOT)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('core layers', () => {
  it('may not use globals that stand for time, randomness, sockets or Node', () => {
    const found = result.of(GLOBALS)
    for (const layer of CORE_FOLDERS) expect(found.get(globalsFile(layer)), layer).toEqual(USES.map((_, i) => i + 1))
    for (const layer of CORE_FILES) {
      const above = PLANTED.get(plantedFile(layer))?.length ?? 0
      expect(found.get(plantedFile(layer)), layer).toEqual(USES.map((_, i) => above + i + 1))
    }
  })

  it('may take a port under the name of a global', () => {
    expect(result.of(GLOBALS).has(PORT_FILE)).toBe(false)
  })

  it('are all compiled without Node types', async () => {
    const config = await readJson<{ include: string[]; compilerOptions: { types: string[]; lib: string[] } }>(
      'tsconfig.core.json',
    )
    expect(config.include).toEqual(TABLE.core.map((name) => (isFile(name) ? `src/${name}.ts` : `src/${name}`)))
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
