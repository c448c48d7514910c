import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { ROOT, run, type ToolResult } from '../project/support.js'

const CURL = join(ROOT, 'test/docs/curl-standin.mjs')
const LINKSOCKS = join(ROOT, 'bin/linksocks.js')

/** Runs the stand-in for curl: documents are run with nothing but Node. */
export function curl(args: readonly string[]): Promise<ToolResult> {
  return run(process.execPath, [CURL, ...args])
}

/** Programs that documents call. */
const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['curl', CURL],
  ['linksocks', LINKSOCKS],
])

/** A folder to run a document's commands in, with `curl` and `linksocks` at hand. */
export class Shell {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv

  private constructor(folder: string, variables: Readonly<Record<string, string>>) {
    this.folder = folder
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('LINKSOCKS_'))
    const PATH = `${join(folder, 'bin')}${delimiter}${process.env.PATH ?? ''}`
    this.env = { ...Object.fromEntries(inherited), ...variables, PATH }
  }

  static async open(variables: Readonly<Record<string, string>> = {}): Promise<Shell> {
    const folder = await mkdtemp(join(tmpdir(), 'linksocks-docs-'))
    await mkdir(join(folder, 'bin'))
    for (const [name, script] of PROGRAMS) {
      const path = join(folder, 'bin', name)
      await writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`)
      await chmod(path, 0o755)
    }
    return new Shell(folder, variables)
  }

  /** Runs a block of commands; the first that fails ends it. */
  run(commands: string): Promise<ToolResult> {
    return run('env', [...this.#assignments(), 'sh', '-euc', commands], this.folder)
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }

  #assignments(): readonly string[] {
    return [
      '-i',
      ...Object.entries(this.env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
    ]
  }
}
