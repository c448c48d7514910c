/** Compares what a document shows with what came: ids, times and some counts are others on each run. */
import { expect } from 'vitest'

/** Of events, then of tokens, clients and visitors of this run. */
const ID = /\b[\da-f]{16}-\d+\b|\b[\da-f]{24}\b/g
const TIME = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z(?![\w.])/g
const MILLISECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
/** What a connection carried and how long its way is. */
const MEASURED: readonly string[] = ['received_bytes', 'sent_bytes', 'rtt_ms']

type Fields = Readonly<Record<string, unknown>>

/**
 * Each id of the document stands for one of the run, the same wherever it is shown, and no two for one. Times that a command
 * gives are literal; the others are of the time of the test. Measured counts are above zero on both sides or zero on both.
 */
export class Placeholders {
  readonly #ids = new Map<string, string>()
  readonly #given = new Set<number>()
  readonly #began: number

  /** @param began Unix milliseconds: nothing of the run is older */
  constructor(began: number) {
    this.#began = began
  }

  /** A command of the document with the ids of this run. */
  command(text: string): string {
    for (const [time] of text.matchAll(TIME)) this.#given.add(Date.parse(time))
    return text.replaceAll(ID, (id) => {
      const actual = this.#ids.get(id)
      if (actual === undefined) throw new Error(`no answer has shown ${id}`)
      return actual
    })
  }

  /** What `actual` should be, if it is as the document shows. */
  expected(shown: unknown, actual: unknown): unknown {
    if (typeof shown === 'string') return this.#text(shown, actual)
    if (Array.isArray(shown)) {
      const list: readonly unknown[] = Array.isArray(actual) ? actual : []
      return shown.map((item, index) => this.expected(item, list[index]))
    }
    return isFields(shown) ? this.#fields(shown, isFields(actual) ? actual : {}) : shown
  }

  #fields(shown: Fields, actual: Fields): Fields {
    // those of a stream are known: the test has sent them
    const measured = 'protocol' in shown ? [] : MEASURED
    const fields = Object.entries(shown).map(([name, value]) => {
      const came = actual[name]
      if (measured.includes(name) && typeof value === 'number' && value > 0)
        return [name, typeof came === 'number' && came > 0 ? came : value]
      if (name === 'alarms') return [name, isBusyMachine(came) ? came : value]
      return [name, this.expected(value, came)]
    })
    return Object.fromEntries(fields)
  }

  #text(shown: string, actual: unknown): string {
    const ids = [...String(actual).matchAll(ID)].map(([id]) => id)
    const times = [...String(actual).matchAll(TIME)].map(([time]) => time)
    return shown
      .replaceAll(ID, (id) => this.#idFor(id, ids.shift()))
      .replaceAll(TIME, (time) => this.#timeFor(time, times.shift()))
  }

  #idFor(shown: string, actual: string | undefined): string {
    const known = this.#ids.get(shown)
    if (known !== undefined || actual === undefined) return known ?? shown
    if (kindOf(actual) !== kindOf(shown) || [...this.#ids.values()].includes(actual)) return shown
    this.#ids.set(shown, actual)
    return actual
  }

  #timeFor(shown: string, actual: string | undefined): string {
    if (this.#given.has(Date.parse(shown)) || actual === undefined || !MILLISECONDS.test(actual)) return shown
    const time = Date.parse(actual)
    return time >= this.#began && time <= Date.now() ? actual : shown
  }
}

function kindOf(id: string): string {
  return id.includes('-') ? 'event' : 'other'
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** No document shows this alarm, and a machine that does more than these tests may raise it. */
function isBusyMachine(alarms: unknown): boolean {
  return Array.isArray(alarms) && alarms.every((alarm) => isFields(alarm) && alarm.code === 'event-loop-delay')
}

/** What a block means: data where it is JSON, a list of events, else its text. */
export function meaning(text: string): unknown {
  if (/^\s*\{.*\}\s*$/s.test(text)) {
    const fields: unknown = JSON.parse(text)
    return fields
  }
  return /^(?:id|event): /.test(text) ? eventsOf(text) : text.trim()
}

function eventsOf(text: string): readonly Fields[] {
  return text
    .trim()
    .split('\n\n')
    .map((event) => {
      const lines = event.split('\n').map((line) => /^(\w+): (.*)$/.exec(line) ?? [])
      return Object.fromEntries(lines.map(([, name = '', value = '']) => [name, meaning(value)]))
    })
}

/** Fails where the answer is not what the document shows. */
export function expectShown(placeholders: Placeholders, shown: string, actual: string, where: string): void {
  const came = meaning(actual)
  expect(came, where).toEqual(placeholders.expected(meaning(shown), came))
}
