import type { Socket } from 'node:net'
import type { Scene } from '../../support/e2e/scene.js'
import { readBytes } from '../../support/e2e/socks.js'
import { tcpTarget } from '../../support/e2e/targets.js'
import { Bell } from './base-bell.js'

const INSIDE = new URL('held-clock-inside.mjs', import.meta.url).href

/** The clock of programs of ours: it stands still until the test moves it, for rules that speak of seconds. */
export class HeldClock {
  readonly #port: number
  readonly #programs: readonly Socket[]
  readonly #come: Bell
  #expected = 0

  constructor(port: number, programs: readonly Socket[], come: Bell) {
    this.#port = port
    this.#programs = programs
    this.#come = come
  }

  static async open(scene: Scene): Promise<HeldClock> {
    const programs: Socket[] = []
    const come = new Bell()
    const port = await tcpTarget(scene, (socket) => {
      programs.push(socket)
      come.ring()
    })
    return new HeldClock(port, programs, come)
  }

  /** The environment of one more program. */
  env(): Readonly<Record<string, string>> {
    this.#expected += 1
    return { NODE_OPTIONS: `--import=${INSIDE}`, HELD_CLOCK_PORT: `${this.#port}` }
  }

  /** Moves the clock of every program on; what fell due has been done then. */
  async advance(ms: number): Promise<void> {
    const programs = await this.#come.until('programs with this clock', () =>
      this.#programs.length === this.#expected ? this.#programs : undefined,
    )
    for (const program of programs) {
      program.write(`${ms}\n`)
      await readBytes(program, 1)
    }
  }
}
