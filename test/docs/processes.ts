import { type ChildProcess, spawn } from 'node:child_process'
import { ROOT } from '../project/support.js'

/** Longest wait for a line, an exit or a pid to go. */
const PATIENCE_MS = 20_000

/** A process under test; `end()` belongs into a `finally`. */
export class TestProcess {
  readonly #child: ChildProcess
  readonly #exit: Promise<number | null>
  #output = ''
  readonly #watchers = new Set<() => void>()

  constructor(program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
    this.#child = spawn(program, [...args], { cwd: ROOT, ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
        this.#wake()
      })
    }
    this.#exit = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', (code) => {
        resolve(code)
        this.#wake()
      })
    })
    this.#exit.catch(() => {})
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Standard output and error, as they came. */
  get output(): string {
    return this.#output
  }

  /** What `pattern` matched, as soon as it does. */
  async match(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const found = pattern.exec(this.#output)
      if (found !== null) return found
      const gone = this.#child.exitCode !== null || this.#child.signalCode !== null
      if (gone || Date.now() > deadline) throw new Error(`${pattern} did not come; there is:\n${this.#output}`)
      await this.#change(deadline - Date.now())
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The exit code; a signal that ended it is an error. */
  async exit(): Promise<number> {
    const code = await this.#exit
    if (code === null) throw new Error(`ended by ${this.#child.signalCode}:\n${this.#output}`)
    return code
  }

  async end(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS / 4)
    await this.#exit.catch(() => {})
    clearTimeout(timer)
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, withinMs)
      this.#watchers.add(done)
    })
  }
}

/** Whether a process of this id is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
