import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { patience, within } from '../wait.js'

const PROGRAM = fileURLToPath(new URL('../../../bin/linksocks.js', import.meta.url))
/** Last lines of a log that a failure shows. */
const SHOWN_LINES = 25

/** One line of a log in JSON form. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string; readonly level: string }

/** Sockets for a process. */
export interface Passing {
  readonly passed?: readonly number[] | undefined
  /** Whether it begins with `go()`; it has the sockets before. */
  readonly waits?: boolean | undefined
}

/** A shell that becomes the program, and knows its own number. */
const BECOME = '[ "$LISTEN_PID" ] || export LISTEN_PID=$$; exec "$0" "$@"'

type Fields = Readonly<Record<string, unknown>>

const running = new Set<ChildProcess>()
// a worker that is told to end in the middle of a test must not leave processes behind
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

function startProgram(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { passed = [], waits = false }: Passing,
): ChildProcess {
  const program = [process.execPath, PROGRAM, ...args]
  // LISTEN_PID is known to the process itself, which becomes the program
  const [file = '', ...words] =
    passed.length === 0 ? program : ['sh', '-c', `${waits ? 'read line && ' : ''}${BECOME}`, ...program]
  return spawn(file, words, {
    env: { ...(passed.length > 0 && { LISTEN_FDS: `${passed.length}` }), ...env },
    stdio: [waits ? 'pipe' : 'ignore', 'pipe', 'pipe', ...passed],
  })
}

/** The program, run as its user runs it. */
export class LinksocksProcess {
  /** The parsed lines of standard error. */
  readonly log: LogLine[] = []
  stdout = ''
  stderr = ''
  /** Exit code, or the name of the signal that ended it. */
  readonly exited: Promise<number | string>
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()
  #ended = false
  #rest = ''

  /**
   * @param env replaces nothing but variables of the same name; those of this program and of proxies are never inherited
   * @param passing descriptors that it gets from 3 on, as a supervisor passes them
   */
  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}, passing: Passing = {}) {
    const child = startProgram(args, { ...cleanEnvironment(), ...env }, passing)
    this.#child = child
    running.add(child)
    // one that is killed while it waits takes no line
    child.stdin?.on('error', () => {})
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.exited = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        running.delete(child)
        this.#ended = true
        this.#wake()
        resolve(code ?? signal ?? 'unknown')
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The first line with this event and these fields, whether it is there already or still to come. */
  async event(event: string, fields: Fields = {}, limitMs = patience()): Promise<LogLine> {
    const what = (): string => `'${event}' ${JSON.stringify(fields)} in the log of ${this.pid}; it ends:\n${this.tail}`
    return await within(this.#find(event, fields, what), what, limitMs)
  }

  /** Lines with this event and these fields so far. */
  events(event: string, fields: Fields = {}): readonly LogLine[] {
    return this.log.filter((line) => line.event === event && matches(line, fields))
  }

  /** The end of standard error. */
  get tail(): string {
    return this.stderr.split('\n').slice(-SHOWN_LINES).join('\n')
  }

  /** One that waits begins. */
  go(): void {
    this.#child.stdin?.end('\n')
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits for the process to end by itself, or after `signal`. */
  async end(signal?: NodeJS.Signals, limitMs = patience()): Promise<number | string> {
    if (signal !== undefined) this.kill(signal)
    return await within(this.exited, () => `end of process ${this.pid}; its log ends:\n${this.tail}`, limitMs)
  }

  /** Bytes of memory in use (resident set). */
  residentBytes(): number {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]
    if (kilobytes === undefined) throw new Error(`no resident set size of process ${this.pid}`)
    return Number(kilobytes) * 1024
  }

  async #find(event: string, fields: Fields, what: () => string): Promise<LogLine> {
    for (;;) {
      const found = this.events(event, fields)[0]
      if (found !== undefined) return found
      if (this.#ended) throw new Error(`ended without ${what()}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  #read(text: string): void {
    this.stderr += text
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('{')) this.log.push(JSON.parse(line))
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

function matches(line: LogLine, fields: Fields): boolean {
  return Object.entries(fields).every(([name, value]) => line[name] === value)
}

function cleanEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^LINKSOCKS_|_proxy$|^NODE_/i.test(name)))
}
