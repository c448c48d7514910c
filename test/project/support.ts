import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Longest run of one tool. */
const TOOL_TIMEOUT_MS = 60_000

export interface ToolResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program and hands back what it said, whatever its exit code. */
export function run(program: string, args: readonly string[], cwd = ROOT): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    // a hook of git names its own repository there: nothing may be committed to that
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')))
    const options = { cwd, env, timeout: TOOL_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }
    execFile(program, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(error)
    })
  })
}

/** Path of a program that a dev dependency brings. */
export function tool(name: string): string {
  return join(ROOT, 'node_modules', '.bin', name)
}

export async function readText(path: string): Promise<string> {
  return await readFile(join(ROOT, path), 'utf8')
}

export async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readText(path)) as T
}

/** Files of the repository, the ones not committed yet included, ignored ones not; paths relative to {@link ROOT}. */
export async function repositoryFiles(): Promise<readonly string[]> {
  const listed = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  if (listed.code !== 0) throw new Error(listed.stderr)
  const names = listed.stdout.split('\0').filter((name) => name !== '')
  return [...new Set(names)].filter((name) => existsSync(join(ROOT, name)))
}

/** Writes `files` into a new folder, gives it to `use` and removes it afterwards. */
export async function inFolder<T>(files: ReadonlyMap<string, string>, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'linksocks-project-'))
  try {
    for (const [name, text] of files) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
