/**
 * Completes package-lock.json: adds the builds for other platforms of packages with native binaries.
 *
 * npm leaves an optional package out of the lock when the registry it was made with didn't have it, and `npm ci` then
 * refuses the lock on every platform. The added entries are exact versions without a content hash; all of them are
 * development tools for another platform than the one the lock was made on.
 *
 *     npm install <package> && node scripts/complete-lock.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs'

const LOCK = new URL('../package-lock.json', import.meta.url)
const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const PROCESSORS = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']

/** `@scope/tool-linux-x64-musl` -> what npm compares with the machine. */
function platform(name) {
  const words = name.slice(name.indexOf('/') + 1).split('-')
  const os = SYSTEMS.filter((system) => words.includes(system))
  const cpu = PROCESSORS.filter((processor) => words.includes(processor))
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`cannot tell the platform of ${name}`)
  if (os[0] !== 'linux') return { cpu, os }
  return { cpu, libc: [words.some((word) => word.startsWith('musl')) ? 'musl' : 'glibc'], os }
}

const lock = JSON.parse(readFileSync(LOCK, 'utf8'))
const added = []
for (const [path, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (`${path}/node_modules/${name}` in lock.packages || `node_modules/${name}` in lock.packages) continue
    if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`${name} of ${path} has no exact version: ${version}`)
    const { cpu, ...rest } = platform(name)
    const dev = parent.dev ? { dev: true } : {}
    lock.packages[`node_modules/${name}`] = { version, cpu, ...dev, optional: true, ...rest }
    added.push(`${name}@${version}`)
  }
}
if (added.length > 0) {
  const { '': root, ...others } = lock.packages
  const sorted = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1))
  lock.packages = { '': root, ...Object.fromEntries(sorted) }
  writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`)
}
console.log(added.length === 0 ? 'package-lock.json is complete' : `added ${added.join('\n      ')}`)
