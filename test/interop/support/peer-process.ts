import { type ChildProcess, spawn } from 'node:child_process'
import { eventually, within } from '../../support/wait.js'

/** Last lines of an output that a failure shows. */
const SHOWN_LINES = 25

const running = new Set<ChildProcess>()
// a worker that is told to end in the middle of a test must not leave processes behind
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A program that is not ours. */
export class PeerProcess {
  /** Standard output and standard error, as they came. */
  output = ''
  /** Exit code, or the name of the signal that ended it. */
  readonly exited: Promise<number | string>
  readonly #child: ChildProcess
  #ended = false

  /** @param env added to the environment, which names no proxy and no setting of any LinkSocks */
  constructor(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [program = '', ...args] = command
    // wide: programs that wrap their lines at the terminal's width can be searched for whole sentences
    const child = spawn(program, args, {
      env: { ...cleanEnvironment(), COLUMNS: '400', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    running.add(child)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    this.exited = new Promise((resolve) => {
      const end = (how: number | string): void => {
        running.delete(child)
        this.#ended = true
        resolve(how)
      }
      child.on('error', (error) => {
        this.output += `\n${error.message}`
        end('not started')
      })
      child.on('close', (code, signal) => end(code ?? signal ?? 'unknown'))
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The end of the output. */
  get tail(): string {
    return this.output.split('\n').slice(-SHOWN_LINES).join('\n')
  }

  /** Waits for a text in the output. @throws when the program ends without it */
  async says(text: string | RegExp): Promise<void> {
    const said = (): boolean => (typeof text === 'string' ? this.output.includes(text) : text.test(this.output))
    const what = `${text} from process ${this.pid}`
    const found = await eventually(what, () => (said() ? 'said' : this.#ended ? 'ended' : undefined)).catch(
      (error: Error) => {
        throw new Error(`${error.message}; its output ends:\n${this.tail}`)
      },
    )
    if (found === 'ended') throw new Error(`ended without ${what}; its output ends:\n${this.tail}`)
  }

  /** Waits for the process to end by itself, or after `signal`. */
  async end(signal?: NodeJS.Signals): Promise<number | string> {
    if (signal !== undefined) this.#child.kill(signal)
    return await within(this.exited, () => `end of process ${this.pid}; its output ends:\n${this.tail}`)
  }
}

function cleanEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^LINKSOCKS_|_proxy$|^NODE_/i.test(name)))
}
