/*
 * Puts the command and the packages it uses together in dist/command. As 200 modules, some of them CommonJS, they take
 * 18 MB more memory and longer to start. The library in dist stays as the compiler writes it.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OUT = join(ROOT, 'dist/command')
/** `ws` uses these if they happen to be installed. Ours does without. */
const OPTIONAL = ['bufferutil', 'utf-8-validate']
/** Has native code, and is loaded only with a data directory. */
const NATIVE = ['libsql']
/** Loaded only for certificates that the server gets by itself. */
const ON_REQUEST = ['@peculiar/x509', 'reflect-metadata']

/** What tokens and certificates on the disk have in common: few servers have either. */
const ON_DISK = /dist\/node\/store\/(?:data-key|durable-files|sqlite|store-errors|token-seal)\.js$/

/** @param {string} name */
const isOutside = (name) =>
  name.startsWith('node:') ||
  builtinModules.includes(name) ||
  OPTIONAL.includes(name) ||
  NATIVE.includes(name) ||
  ON_REQUEST.includes(name)

/** The folders of packages that modules lie in. @param {readonly string[]} modules */
function packagesOf(modules) {
  const folders = modules.map(
    (path) => /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path.replaceAll('\\', '/'))?.[1],
  )
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort()
}

/** @param {string} folder */
async function licenceOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e(\.(md|txt))?$/i.test(entry))
  if (file === undefined) throw new Error(`${name} has no licence file to pass on`)
  return `${name} ${version} (${license})\n\n${(await readFile(join(folder, file), 'utf8')).trim()}\n`
}

const bundle = await rolldown({
  input: { main: join(ROOT, 'dist/cli/main.js'), io: join(ROOT, 'dist/cli/settings/io.js') },
  platform: 'node',
  onLog: (level, log) => {
    if (level === 'warn') throw new Error(log.message)
  },
  external: isOutside,
})
const { output } = await bundle.write({
  dir: OUT,
  format: 'esm',
  // the text of what is loaded stays in memory; licences have a file of their own
  comments: false,
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
  // each file more costs time and memory at the start: what several need is in one
  codeSplitting: {
    groups: [
      // a group takes along what it needs: this one comes first, for what that one needs is needed everywhere
      { name: 'shared', test: (module) => !ON_DISK.test(module), minShareCount: 2, priority: 2 },
      { name: 'store', test: ON_DISK, priority: 1 },
    ],
  },
})
await bundle.close()
const modules = output.flatMap((chunk) => (chunk.type === 'chunk' ? Object.keys(chunk.modules) : []))
const licences = await Promise.all(packagesOf(modules).map(licenceOf))
await writeFile(join(OUT, 'THIRD-PARTY-LICENCES.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`))
