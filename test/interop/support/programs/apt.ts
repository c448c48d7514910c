import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Scene, sha256 } from '../../../support/e2e/scene.js'
import type { Files } from './files-listener.js'
import { folder, output } from './programs.js'

/** A flat repository with a package of each of these names, which holds one file, `/usr/share/<name>`. */
export async function aptRepository(scene: Scene, contents: Readonly<Record<string, string>>): Promise<Files> {
  const packages = await Promise.all(Object.entries(contents).map((entry) => aptPackage(scene, ...entry)))
  const files = Object.fromEntries(packages.map(({ path, deb }) => [`/${path}`, deb]))
  const index = packages.map(({ stanza }) => stanza).join('\n')
  const release = `Suite: tests\nDate: ${new Date().toUTCString()}\nSHA256:\n ${sha256(index)} ${index.length} Packages\n`
  return { ...files, '/Packages': index, '/Release': release }
}

async function aptPackage(scene: Scene, name: string, content: string) {
  const root = folder(scene)
  const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Ann <ann@example.com>\nDescription: test\n`
  mkdirSync(join(root, 'DEBIAN'))
  mkdirSync(join(root, 'usr/share'), { recursive: true })
  writeFileSync(join(root, 'DEBIAN/control'), control)
  writeFileSync(join(root, 'usr/share', name), content)
  const path = `${name}_1.0_all.deb`
  const file = join(folder(scene), path)
  await output(scene, ['dpkg-deb', '--root-owner-group', '-Znone', '--build', root, file])
  const deb = readFileSync(file)
  return { path, deb, stanza: `${control}Filename: ./${path}\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n` }
}

/**
 * Folders and settings of an apt that has nothing of the system's: neither its sources and settings, nor what is installed.
 * @param settings further lines of apt.conf
 * @returns its environment
 */
export function ownApt(scene: Scene, source: string, settings: readonly string[]): Readonly<Record<string, string>> {
  const root = folder(scene)
  for (const path of [
    'etc/apt/apt.conf.d',
    'var/lib/apt/lists/partial',
    'var/cache/apt/archives/partial',
    'var/lib/dpkg',
  ])
    mkdirSync(join(root, path), { recursive: true })
  writeFileSync(join(root, 'var/lib/dpkg/status'), '')
  writeFileSync(join(root, 'etc/apt/sources.list'), `deb [trusted=yes] ${source} ./\n`)
  const own = [
    `Dir "${root}/"`,
    'Dir::Bin::methods "/usr/lib/apt/methods/"',
    'Dir::State::status "var/lib/dpkg/status"',
    // it would give up root's rights, and could not read the folders of the test
    'APT::Sandbox::User "root"',
    'Acquire::Languages "none"',
    'Acquire::Retries "0"',
  ]
  return { APT_CONFIG: scene.file([...own, ...settings].map((line) => `${line};\n`).join('')) }
}
