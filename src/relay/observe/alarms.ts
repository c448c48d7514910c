import type { Clock, Timer } from '../../ports.js'
import type { AlarmCode, AlarmInfo, EventLog } from './event-log.js'

/** Alarms of one code at a time: further ones are not raised, and hide none of another code. */
export const MAX_ALARMS_OF_A_CODE = 25

/** Alarms that are on: one for each code and subject. */
export class Alarms {
  readonly #clock: Clock
  readonly #events: EventLog
  readonly #active = new Map<string, AlarmInfo>()
  readonly #timers = new Map<string, Timer>()

  constructor(clock: Clock, events: EventLog) {
    this.#clock = clock
    this.#events = events
  }

  /** The oldest first. */
  get active(): readonly AlarmInfo[] {
    return [...this.#active.values()]
  }

  /** One that is on already stays as it is. */
  raise(code: AlarmCode, subject: string | undefined, message: string): void {
    const key = keyOf(code, subject)
    if (this.#active.has(key) || this.#count(code) >= MAX_ALARMS_OF_A_CODE) return
    const alarm = { code, subject, message, since: this.#clock.wallTime() }
    this.#active.set(key, alarm)
    this.#events.emit({ type: 'alarm.raised', alarm })
  }

  /** As raise(), for something that has no end of its own: cleared when it has not been raised for `ms`. */
  raiseFor(code: AlarmCode, subject: string | undefined, message: string, ms: number): void {
    this.raise(code, subject, message)
    const key = keyOf(code, subject)
    if (!this.#active.has(key)) return
    this.#timers.get(key)?.cancel()
    this.#timers.set(
      key,
      this.#clock.after(ms, () => this.clear(code, subject)),
    )
  }

  /** One that is not on is none of anybody's business. */
  clear(code: AlarmCode, subject?: string): void {
    const key = keyOf(code, subject)
    const alarm = this.#active.get(key)
    if (alarm === undefined) return
    this.#active.delete(key)
    this.#timers.get(key)?.cancel()
    this.#timers.delete(key)
    this.#events.emit({ type: 'alarm.cleared', alarm })
  }

  #count(code: AlarmCode): number {
    return this.active.filter((alarm) => alarm.code === code).length
  }
}

function keyOf(code: AlarmCode, subject: string | undefined): string {
  return `${code} ${subject ?? ''}`
}
