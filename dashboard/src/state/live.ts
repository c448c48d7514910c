import { type Api, ApiError } from '../api/http.js'
import { EventParser, type ServerEvent } from '../api/sse.js'
import type { Happening, Stats } from '../api/types.js'
import { addRates, type History, NO_HISTORY } from './history.js'
import { Store } from './store.js'

export type Connection = 'connecting' | 'open' | 'lost'

export interface Activity extends Happening {
  readonly event: string
  readonly key: number
}

/** What the page hears of; streams come and go too often to be told one by one, and are asked for instead. */
const TYPES = 'token,client,alarm,policy,stats'
/** May come every second for each token, and would push everything else out of the list of what happened. */
const NOT_TOLD = 'policy.refused'
/** Figures come every second: after so long without a byte the connection is dead. */
const SILENCE_MS = 12_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 15_000
/** One failed attempt is no loss yet. */
const ATTEMPTS_BEFORE_LOST = 2
const MAX_ACTIVITY = 50

export interface LiveListener {
  /** A token or client came, changed or went. */
  readonly changed: (kind: 'token' | 'client') => void
  /** Events may be missing: everything has to be asked for again. */
  readonly missed: () => void
}

/** The stream of events, opened again whenever it breaks. */
export class Live {
  readonly connection = new Store<Connection>('connecting')
  readonly stats = new Store<Stats | undefined>(undefined)
  readonly history = new Store<History>(NO_HISTORY)
  readonly activity = new Store<readonly Activity[]>([])
  readonly #api: Api
  readonly #listener: LiveListener
  readonly #closed = new AbortController()
  #lastId = ''
  #attempts = 0
  #count = 0
  /** Ends the pause before the next attempt. */
  #wake: () => void = () => {}

  constructor(api: Api, listener: LiveListener) {
    this.#api = api
    this.#listener = listener
  }

  async run(): Promise<void> {
    const { signal } = this.#closed
    addEventListener('online', () => this.#wake(), { signal })
    document.addEventListener('visibilitychange', () => this.#wake(), { signal })
    while (!signal.aborted) {
      await this.#read().catch((error: unknown) => this.#failed(error))
      if (signal.aborted) return
      this.#attempts += 1
      if (this.#attempts >= ATTEMPTS_BEFORE_LOST) this.connection.set('lost')
      await this.#pause()
    }
  }

  close(): void {
    this.#closed.abort()
    this.#wake()
  }

  #failed(error: unknown): void {
    if (error instanceof ApiError && error.status === 401) this.close()
  }

  #pause(): Promise<void> {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#attempts - 1))
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async #read(): Promise<void> {
    const silent = new AbortController()
    const signal = AbortSignal.any([this.#closed.signal, silent.signal])
    let timer = setTimeout(() => silent.abort(), SILENCE_MS)
    try {
      const body = await this.#api.events(TYPES, this.#lastId, signal)
      const parser = new EventParser((event) => this.#take(event))
      const decoder = new TextDecoder()
      const reader = body.getReader()
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(timer)
        timer = setTimeout(() => silent.abort(), SILENCE_MS)
        parser.push(decoder.decode(part.value, { stream: true }))
        if (parser.lastId !== '') this.#lastId = parser.lastId
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #take({ event, data }: ServerEvent): void {
    if (event === 'hello') return this.#hello()
    if (event === 'missed') return this.#listener.missed()
    if (event === 'stats') return this.#figures(JSON.parse(data) as Stats)
    if (event === NOT_TOLD) return
    const happening = JSON.parse(data) as Happening
    const [kind] = event.split('.')
    if (kind === 'token' || kind === 'client') this.#listener.changed(kind)
    // a quota is shown with its token
    else if (kind === 'policy') this.#listener.changed('token')
    this.#count += 1
    this.activity.set([{ ...happening, event, key: this.#count }, ...this.activity.get()].slice(0, MAX_ACTIVITY))
  }

  #hello(): void {
    const again = this.connection.get() === 'lost' || this.#attempts > 0
    this.#attempts = 0
    this.connection.set('open')
    if (again) this.#listener.missed()
  }

  #figures(stats: Stats): void {
    const before = this.stats.get()
    this.stats.set(stats)
    this.history.set(addRates(this.history.get(), before, stats))
  }
}
