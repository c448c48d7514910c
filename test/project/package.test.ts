import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT, readJson, run } from './support.js'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly engines: { readonly node: string }
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly files: readonly string[]
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly repository?: unknown
  readonly homepage?: unknown
}

interface LockedPackage {
  readonly version: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
  readonly peer?: boolean
  readonly os?: readonly string[]
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly hasInstallScript?: boolean
  readonly resolved?: string
  readonly integrity?: string
  readonly engines?: { readonly node?: string }
}

interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

interface Packed {
  readonly path: string
  readonly size: number
  readonly mode: number
}

/** Everything `npm install linksocks` brings, the package itself and what is for one platform not counted. */
const MAX_PRODUCTION_PACKAGES = 45
const MAX_PACKAGE_BYTES = 8 * 1024 * 1024
/** Pieces of the command that few processes load. */
const UNASKED = /^(server-tls|server-acme|token-database|store|inherited-sockets|listen-fds)-/
const LICENCES = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Apache-2.0', 'BlueOak-1.0.0']
const DOCUMENTS = ['CHANGELOG.md', 'LICENSE', 'README.md', 'README.zh-CN.md', 'SECURITY.md']

/** True when `range` (`>=a.b.c`, `^a || >=b`, `*`) admits Node 20.19. */
function admitsNode2019(range: string): boolean {
  return range.split('||').some((part) => {
    if (part.trim() === '*') return true
    const [, sign, major = '0', minor = '0'] = /(>=|\^|>|~)?\s*v?(\d+)(?:\.(\d+))?/.exec(part) ?? []
    const reached = Number(major) < 20 || (Number(major) === 20 && Number(minor) <= 19)
    return sign === '>=' || sign === '>' ? reached : Number(major) === 20 && reached
  })
}

function isProduction([path, entry]: readonly [string, LockedPackage]): boolean {
  return path !== '' && !(entry.dev || entry.devOptional || entry.optional || entry.peer)
}

/** Entries of the lock that `names` bring, for every platform. */
function broughtBy(
  names: readonly string[],
  locked: readonly (readonly [string, LockedPackage])[],
): readonly (readonly [string, LockedPackage])[] {
  const found = new Map<string, LockedPackage>()
  const look = (name: string): void => {
    for (const [path, entry] of locked.filter(([path]) => path.endsWith(`node_modules/${name}`))) {
      if (found.has(path)) continue
      found.set(path, entry)
      for (const next of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) look(next)
    }
  }
  for (const name of names) look(name)
  return [...found]
}

describe('package', () => {
  let manifest: Manifest
  let locked: readonly (readonly [string, LockedPackage])[]
  let optional: readonly (readonly [string, LockedPackage])[]
  beforeAll(async () => {
    manifest = await readJson<Manifest>('package.json')
    locked = Object.entries((await readJson<Lockfile>('package-lock.json')).packages)
    optional = broughtBy(Object.keys(manifest.optionalDependencies), locked)
    expect(optional.length).toBeGreaterThan(10)
  })

  describe('as packed', () => {
    let files: readonly Packed[]
    beforeAll(async () => {
      expect(existsSync(join(ROOT, 'dist')), 'dist is missing: npm run build comes first').toBe(true)
      const packed = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'])
      expect(packed.code, packed.stderr).toBe(0)
      files = (JSON.parse(packed.stdout) as [{ files: readonly Packed[] }])[0].files
    })

    it('holds the command, the build, the documents and nothing else', () => {
      const names = files.map(({ path }) => path)
      const outside = names.filter((path) => !/^(dist|docs)\//.test(path)).sort()
      const documents = DOCUMENTS.filter((name) => existsSync(join(ROOT, name)))
      expect(outside).toEqual(['bin/linksocks.js', 'bin/package.json', 'package.json', ...documents].sort())
      const library = names.filter((path) => /^dist\/(?!dashboard\/)/.test(path))
      const unknown = library.filter((path) => !/\.(js|js\.map|d\.ts)$/.test(path))
      expect(unknown).toEqual(['dist/command/THIRD-PARTY-LICENCES.txt'])
    })

    it('holds what each source file compiles to and no left-over of an earlier build', () => {
      const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      const modules = sources.filter((name) => name.endsWith('.ts')).map((name) => `dist/${name.slice(0, -3)}`)
      const built = files.map(({ path }) => path).filter((path) => /^dist\/(?!command\/|dashboard\/).*\.js$/.test(path))
      expect(built.map((path) => path.slice(0, -3)).sort()).toEqual(modules.sort())
    })

    it('holds the command in one piece, with the licences of the packages in it', async () => {
      const built = files.map(({ path }) => path).filter((path) => path.startsWith('dist/command/'))
      expect(built).toEqual(expect.arrayContaining(['dist/command/main.js', 'dist/command/io.js']))
      const imports = await Promise.all(
        built
          .filter((path) => path.endsWith('.js'))
          .map(async (path) => {
            const text = await readFile(join(ROOT, path), 'utf8')
            return [...text.matchAll(/^import .*from "([^"]+)";$|__require\("([^"]+)"\)/gm)].map(
              ([, a, b]) => a ?? b ?? '',
            )
          }),
      )
      // ws asks for two packages that it does without
      const outside = imports.flat().filter((name) => !/^(node:|\.\/)/.test(name) && !builtinModules.includes(name))
      expect(outside.sort()).toEqual(['bufferutil', 'utf-8-validate'])
      const licences = await readFile(join(ROOT, 'dist/command/THIRD-PARTY-LICENCES.txt'), 'utf8')
      for (const name of Object.keys(manifest.dependencies)) expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'))
    })

    it('loads TLS of the server, ACME, the store and what sockets that are passed need only where they are asked for', async () => {
      const folder = join(ROOT, 'dist/command')
      const loaded = new Set<string>()
      const load = async (name: string): Promise<void> => {
        if (loaded.has(name)) return
        loaded.add(name)
        const text = await readFile(join(folder, name), 'utf8')
        for (const [, next = ''] of text.matchAll(/^import .*from "\.\/([^"]+)";$/gm)) await load(next)
      }
      // what a server without them loads: it asks for the second one by itself
      const [http = ''] = readdirSync(folder).filter((name) => name.startsWith('server-http-'))
      for (const name of ['main.js', 'io.js', http]) await load(name)
      expect([...loaded].filter((name) => UNASKED.test(name))).toEqual([])
      const texts = await Promise.all([...loaded].map((name) => readFile(join(folder, name), 'utf8')))
      expect(texts.join('')).not.toMatch(/createServer[^;]*from "node:tls"|peculiar/)
      const others = readdirSync(folder).map((name) => name.replace(/-[\w-]{8}\.js$/, ''))
      expect(others).toEqual(
        expect.arrayContaining([
          'server-tls',
          'server-acme',
          'token-database',
          'store',
          'inherited-sockets',
          'listen-fds',
        ]),
      )
    })

    it('holds the dashboard, with the licences of what is in it', async () => {
      const built = files.map(({ path }) => path).filter((path) => path.startsWith('dist/dashboard/'))
      const named = built.map((path) =>
        path.slice('dist/dashboard/'.length).replace(/(?<=^assets\/\w+)-[\w-]{8}\./, '-HASH.'),
      )
      expect(named.sort()).toEqual([
        'THIRD-PARTY-LICENCES.md',
        'assets/editor-HASH.js',
        'assets/icon-HASH.svg',
        'assets/index-HASH.css',
        'assets/index-HASH.js',
        'index.html',
      ])
      const licences = await readFile(join(ROOT, 'dist/dashboard/THIRD-PARTY-LICENCES.md'), 'utf8')
      for (const name of ['react', 'react-dom', '@base-ui/react', 'uplot', '@tanstack/react-virtual']) {
        expect(licences).toContain(`## ${name} - `)
      }
    })

    it('holds every file that exports, types and bin name', () => {
      const named = Object.values(manifest.exports).flatMap((entry) =>
        typeof entry === 'string' ? [entry] : Object.values(entry),
      )
      const names = new Set(files.map(({ path }) => path))
      for (const path of [...named, ...Object.values(manifest.bin)]) expect(names).toContain(path.replace(/^\.\//, ''))
    })

    it('has an executable command', () => {
      const command = files.find(({ path }) => path === 'bin/linksocks.js')
      expect((command?.mode ?? 0) & 0o111).toBe(0o111)
    })

    it('stays small', () => {
      expect(files.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(MAX_PACKAGE_BYTES)
    })
  })

  it('asks for Node 20.19 or later, and so does everything it depends on', () => {
    expect(manifest.engines.node).toBe('>=20.19')
    const refusing = locked.filter(isProduction).filter(([, entry]) => !admitsNode2019(entry.engines?.node ?? '>=0'))
    expect(refusing.map(([path, entry]) => `${path} ${entry.engines?.node}`)).toEqual([])
  })

  it('names documents in files and no place it does not know', () => {
    expect(manifest.files).toEqual(expect.arrayContaining(['bin', 'dist', 'docs', ...DOCUMENTS]))
    expect(manifest.license).toBe('MIT')
    expect([manifest.repository, manifest.homepage]).toEqual([undefined, undefined])
  })

  it('brings few packages', () => {
    const names = locked.filter(isProduction).map(([path]) => path)
    for (const name of Object.keys(manifest.dependencies)) expect(names).toContain(`node_modules/${name}`)
    expect(names.length).toBeLessThanOrEqual(MAX_PRODUCTION_PACKAGES)
  })

  it('brings only packages under permissive licences', () => {
    const others = [...locked.filter(isProduction), ...optional].filter(
      ([, entry]) => !LICENCES.includes(entry.license ?? 'none'),
    )
    expect(others.map(([path, entry]) => `${path} ${entry.license}`)).toEqual([])
  })

  it('brings no package that runs a script at install', () => {
    expect(
      [...locked.filter(isProduction), ...optional].filter(([, entry]) => entry.hasInstallScript).map(([path]) => path),
    ).toEqual([])
  })

  it('locks every package by its content, but for development tools of other platforms, and to no host', () => {
    const entries = locked.filter(([path]) => path !== '')
    const exempt = ({ dev, optional, os }: LockedPackage): boolean => Boolean(dev && optional && os)
    const loose = entries.filter(([, entry]) => entry.integrity === undefined && !exempt(entry))
    expect(loose.map(([path]) => path)).toEqual([])
    expect(entries.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)).toEqual([])
  })

  it('locks the builds of every platform, without which npm ci refuses the lock (scripts/complete-lock.mjs adds them)', () => {
    const names = new Set(locked.map(([path]) => path))
    const missing = locked.flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter(
        (name) => !names.has(`node_modules/${name}`) && !names.has(`${path}/node_modules/${name}`),
      ),
    )
    expect(missing).toEqual([])
  })
})

describe('admitsNode2019()', () => {
  it.each([
    ['>=0', true],
    ['*', true],
    ['>= 10', true],
    ['>=20.19.0', true],
    ['^20.19.0 || >=22.12.0', true],
    ['>=20.20', false],
    ['>=22', false],
    ['^18', false],
    ['^22 || >=24', false],
  ])('%s: %s', (range, expected) => {
    expect(admitsNode2019(range)).toBe(expected)
  })
})
