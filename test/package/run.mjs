// Packs what was built, gets the releases of Node that it must run on, and installs and runs the package on each of them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODES = fileURLToPath(new URL('.nodes', import.meta.url))
/** The oldest that `engines` admits, and the newest of each line. */
const VERSIONS = ['20.19.0', '20', '22', '24', '26']
/** Registry packages that hold nothing but the program. */
const PLATFORM = `node-${process.platform}-${process.arch}`

/** Runs npm, and hands back what it printed. */
function npm(args, cwd) {
  const { status, stdout } = spawnSync('npm', [...args, '--loglevel=error'], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} ended with ${status}`)
  return stdout
}

/** Paths of the programs, by the version asked for; those of another run are used again. */
function getNodes() {
  const paths = VERSIONS.map((version) => [version, join(NODES, 'node_modules', `node-${version}`, 'bin/node')])
  if (paths.some(([, path]) => !existsSync(path))) {
    mkdirSync(NODES, { recursive: true })
    writeFileSync(join(NODES, 'package.json'), '{"private":true}\n')
    const wanted = VERSIONS.map((version) => `node-${version}@npm:${PLATFORM}@${version}`)
    npm(['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', ...wanted], NODES)
  }
  return Object.fromEntries(paths)
}

const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
try {
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], ROOT))
  const tarball = join(folder, filename)
  process.stdout.write(`${filename}: ${Math.round(statSync(tarball).size / 1000)} kB\n`)
  const nodes = process.platform === 'linux' ? getNodes() : { [process.versions.node]: process.execPath }
  const { status, signal } = spawnSync(
    'npx',
    ['--no-install', 'vitest', 'run', '--config', 'test/package/vitest.config.ts', ...process.argv.slice(2)],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, PACKED: tarball, PACKED_NODES: JSON.stringify(nodes) } },
  )
  process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 1)
} finally {
  rmSync(folder, { recursive: true })
}
