import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A deployed LinkSocks, as this machine can run it. */
export interface Deployed {
  /** For test names, such as `linksocks 1.10.1`. */
  readonly name: string
  /** Program and first arguments; those of the command follow. */
  readonly command: readonly string[]
  /** Set where the program is missing: why, and what would help. */
  readonly missing?: string
}

/** Releases of the PyPI package: the first is the main peer, the others are what older installations still run. */
const RELEASES = ['1.10.1', '1.8.9'] as const

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

function release(version: string): Deployed {
  const python = path(`../.venv/linksocks-${version}/bin/python`)
  const name = `linksocks ${version}`
  const command = [python, path('../peers/deployed.py')]
  return existsSync(python) ? { name, command } : { name, command, missing: 'run test/interop/install.sh' }
}

function given(program: string): Deployed {
  const name = `LINKSOCKS_PEER (${program.split('/').at(-1)})`
  return existsSync(program)
    ? { name, command: [program] }
    : { name, command: [program], missing: `there is no ${program}` }
}

/** The deployed programs that the matrix runs against: the releases installed here, and the one in LINKSOCKS_PEER. */
export const DEPLOYED: readonly Deployed[] = [
  ...RELEASES.map(release),
  ...(process.env.LINKSOCKS_PEER === undefined ? [] : [given(process.env.LINKSOCKS_PEER)]),
]

/** Whether nothing but loopback can be reached: run.mjs sees to that where it may. */
const ISOLATED = process.env.LINKSOCKS_INTEROP_ISOLATED === '1'

/** Flags that keep deployed clients from asking public STUN servers where nothing else does. */
export const CLIENT_FLAGS: readonly string[] = ISOLATED ? [] : ['--direct-mode', 'relay-only']
