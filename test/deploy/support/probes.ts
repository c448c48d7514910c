import { get } from 'node:http'
import { get as getByTls } from 'node:https'

const PROBE_TIMEOUT_MS = 30_000

/** Asks a relay again and again, each time by a new connection, until it is stopped. */
export class Probes {
  /** What was answered, and how often: a status, or the code of an error. */
  readonly answers = new Map<string, number>()
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  #stopped = false
  readonly #running: Promise<unknown>

  /** @param atOnce how many are under way at any time */
  constructor(url: string, headers: Readonly<Record<string, string>> = {}, atOnce = 3) {
    this.#url = url
    this.#headers = headers
    this.#running = Promise.all(Array.from({ length: atOnce }, () => this.#ask()))
  }

  /** How many were answered so far, in whatever way. */
  get count(): number {
    return [...this.answers.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Waits for those under way. @returns the kinds of answers */
  async stop(): Promise<readonly string[]> {
    this.#stopped = true
    await this.#running
    return [...this.answers.keys()]
  }

  async #ask(): Promise<void> {
    while (!this.#stopped) {
      const answer = await answerOf(this.#url, this.#headers)
      this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1)
    }
  }
}

/** One request by a connection of its own. */
export function answerOf(url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve) => {
    // it is asked whether it answers, and shows a certificate for its name
    const options = { agent: false, headers, timeout: PROBE_TIMEOUT_MS, rejectUnauthorized: false } as const
    const request = (url.startsWith('https:') ? getByTls : get)(url, options, (response) => {
      response.on('error', (error) => resolve(codeOf(error)))
      response.on('end', () => resolve(`${response.statusCode}`))
      response.resume()
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', (error) => resolve(codeOf(error)))
  })
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message
}
