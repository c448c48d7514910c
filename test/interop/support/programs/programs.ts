import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe } from 'vitest'
import type { Scene } from '../../../support/e2e/scene.js'
import { within } from '../../../support/wait.js'

/** Daemons are looked for where a user's own path does not lead. */
const PATH = [process.env.PATH ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin']

export interface RunOptions {
  /** Added to an environment that holds a path, a home and a language, and nothing of the user's. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Standard input, for `run` and `output`. @default none: it is at its end */
  readonly input?: Uint8Array
}

/** How a program ended, and what it wrote. */
export interface Ended {
  /** Exit code, or the name of the signal that ended it. */
  readonly code: number | string
  readonly stdout: Buffer
  readonly stderr: string
}

/** Where a program is, or `undefined`. A path stands for itself. */
export function programPath(program: string): string | undefined {
  const paths = program.includes('/')
    ? [program]
    : PATH.join(delimiter)
        .split(delimiter)
        .map((at) => join(at, program))
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** A `describe` for what needs these programs; without one of them its cases are skipped, and say so. */
export function describeWith(programs: readonly string[], name: string, cases: () => void): void {
  const missing = programs.filter((program) => programPath(program) === undefined)
  const shown = missing.length === 0 ? name : `${name} (not installed: ${missing.join(', ')})`
  describe.skipIf(missing.length > 0)(shown, cases)
}

const running = new Set<ChildProcess>()
// a worker that is told to end in the middle of a test must not leave processes behind
process.on('exit', () => {
  for (const child of running) killGroup(child)
})

/** Starts a program at the head of a process group, which ends with the scene. */
export function startProgram(
  scene: Scene,
  [program = '', ...args]: readonly string[],
  { env = {}, cwd, input }: RunOptions = {},
): ChildProcess {
  const home = folder(scene)
  const child = spawn(programPath(program) ?? program, args, {
    cwd: cwd ?? home,
    env: { PATH: PATH.join(delimiter), HOME: home, LANG: 'C.UTF-8', ...env },
    detached: true,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  running.add(child)
  const closed = new Promise<void>((resolve) => {
    child.on('close', () => {
      running.delete(child)
      resolve()
    })
  })
  scene.own(async () => {
    killGroup(child)
    await within(closed, `end of ${program}`)
  })
  return child
}

/** Runs a program to its end. */
export async function run(scene: Scene, command: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = startProgram(scene, command, options)
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  // a program that does not want its input may close it
  child.stdin?.on('error', () => {}).end(options.input)
  const ended = new Promise<number | string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  const code = await within(ended, () => `end of ${command[0]}; it wrote:\n${stderr}`)
  return { code, stdout: Buffer.concat(stdout), stderr }
}

/** Runs a program that must succeed: what it wrote to standard output. @throws with its error output when it fails */
export async function output(scene: Scene, command: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const { code, stdout, stderr } = await run(scene, command, options)
  if (code !== 0)
    throw new Error(`${command.join(' ')}\nended with ${code}:\n${stderr}\n${stdout.toString().slice(-2_000)}`)
  return stdout
}

/** An empty folder. */
export function folder(scene: Scene): string {
  const path = mkdtempSync(join(tmpdir(), 'linksocks-'))
  scene.own(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // the whole group is gone
  }
}
