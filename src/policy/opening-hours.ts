import { remoteText } from '../log.js'
import type { PolicyHours, Weekday } from '../policy-fields.js'
import { MAX_SHOWN } from './address-range.js'

/** Times in one policy. */
export const MAX_HOURS = 100

export const WEEKDAYS: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MINUTES = 24 * 60
const DAY_MS = DAY_MINUTES * MINUTE_MS
/** A time that is open again on the same weekday is found within so many days. */
const SEARCH_DAYS = 8

interface Window {
  /** Indexes of WEEKDAYS on which it begins. */
  readonly days: ReadonlySet<number>
  /** Minutes from the local midnight of that day; the second is past the next midnight where it is on the next day. */
  readonly from: number
  readonly to: number
  readonly zone: Zone
}

interface Minute {
  readonly minute: number
  readonly open: boolean
  opens?: { readonly at: number | undefined }
}

/** When something is open, by the week of one or more time zones. */
export class OpeningHours {
  readonly #windows: readonly Window[]
  /** The last one that was asked about. */
  #minute: Minute | undefined

  private constructor(windows: readonly Window[]) {
    this.#windows = windows
  }

  /** @returns why not, as a text that repeats what is wrong */
  static of(hours: readonly PolicyHours[]): OpeningHours | string {
    if (hours.length > MAX_HOURS) return `at most ${MAX_HOURS} times`
    const windows: Window[] = []
    for (const one of hours) {
      const window = windowOf(one)
      if (typeof window === 'string') return window
      windows.push(window)
    }
    return new OpeningHours(windows)
  }

  /** @param time Unix milliseconds */
  isOpen(time: number): boolean {
    return this.#at(time).open
  }

  /** What was found of a minute holds for all of it: many requests may come in one. */
  #at(time: number): Minute {
    const minute = Math.floor(time / MINUTE_MS)
    if (this.#minute?.minute !== minute) this.#minute = { minute, open: this.#isOpen(time) }
    return this.#minute
  }

  #isOpen(time: number): boolean {
    return this.#windows.some(({ days, from, to, zone }) => {
      const { day, minute } = zone.local(time)
      const before = (day + WEEKDAYS.length - 1) % WEEKDAYS.length
      return (days.has(day) && from <= minute && minute < to) || (days.has(before) && minute + DAY_MINUTES < to)
    })
  }

  /** The next time from which on it is open, in Unix milliseconds; `undefined` when it never is. */
  opensAt(time: number): number | undefined {
    const minute = this.#at(time)
    if (minute.open) return time
    minute.opens ??= { at: this.#opensAt(time) }
    return minute.opens.at
  }

  #opensAt(time: number): number | undefined {
    let next: number | undefined
    for (const { days, from, zone } of this.#windows) {
      // a local day may have 23 hours: a step of 24 would miss it
      for (let ahead = 0; ahead <= SEARCH_DAYS; ahead += 0.5) {
        const begins = zone.momentOf(time + ahead * DAY_MS, from)
        if (begins <= time || !days.has(zone.local(begins).day) || !this.#isOpen(begins)) continue
        next = Math.min(next ?? begins, begins)
        break
      }
    }
    return next
  }
}

/** Made when it is wanted: the first format of a process takes 7 MB. */
let utcText: Intl.DateTimeFormat | undefined

/** `2026-11-30 07:00 UTC`. */
export function momentText(time: number): string {
  utcText ??= new Intl.DateTimeFormat('sv-SE', {
    timeZone: 'UTC',
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' },
  })
  return `${utcText.format(time)} UTC`
}

/** The clocks of a time zone. */
class Zone {
  readonly #format: Intl.DateTimeFormat

  /** @throws {RangeError} for a name that is none */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      ...{ weekday: 'short', hour: '2-digit', minute: '2-digit' },
    })
  }

  /** Weekday (index of WEEKDAYS) and minute of the day that clocks show there. */
  local(time: number): { readonly day: number; readonly minute: number } {
    const parts = new Map(this.#format.formatToParts(time).map(({ type, value }) => [type, value]))
    const day = WEEKDAYS.indexOf((parts.get('weekday') ?? '').toLowerCase() as Weekday)
    return { day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) }
  }

  /** When clocks show `minute` on the local day of `time`; where they never do, because they are put forward, when they are. */
  momentOf(time: number, minute: number): number {
    const whole = time - (time % MINUTE_MS)
    let moment = whole + (minute - this.local(whole).minute) * MINUTE_MS
    // the offset may have changed in between: an hour at most, which is seen at the second look
    moment -= this.#past(moment, minute) * MINUTE_MS
    const skipped = -this.#past(moment, minute)
    // where clocks are put back they show it twice
    if (skipped <= 0) return this.#past(moment - HOUR_MS, minute) === 0 ? moment - HOUR_MS : moment
    // clocks are put forward in between
    let [before, after] = [moment, moment + skipped * MINUTE_MS]
    while (after - before > MINUTE_MS) {
      const between = before + Math.floor((after - before) / MINUTE_MS / 2) * MINUTE_MS
      if (this.#past(between, minute) < 0) before = between
      else after = between
    }
    return after
  }

  /** Minutes by which clocks are past `minute`, or before it, whichever is less. */
  #past(time: number, minute: number): number {
    const off = this.local(time).minute - minute
    return off > DAY_MINUTES / 2 ? off - DAY_MINUTES : off < -DAY_MINUTES / 2 ? off + DAY_MINUTES : off
  }
}

/** Formats are costly to make, and there are few zones. */
const zones = new Map<string, Zone>()
const MAX_ZONES = 1_000

function zoneOf(name: string): Zone | undefined {
  const known = zones.get(name)
  if (known !== undefined) return known
  try {
    const zone = new Zone(name)
    if (zones.size < MAX_ZONES) zones.set(name, zone)
    return zone
  } catch {
    return undefined
  }
}

function windowOf({ days = WEEKDAYS, from, to, zone: name = 'UTC' }: PolicyHours): Window | string {
  const indexes = days.map((day) => WEEKDAYS.indexOf(day))
  if (indexes.length === 0 || indexes.includes(-1)) return `days must be some of ${WEEKDAYS.join(', ')}`
  const [begins, ends] = [minutesOf(from), minutesOf(to)]
  if (begins === undefined || begins === DAY_MINUTES) return `from must be a time such as 08:00: ${shown(from)}`
  if (ends === undefined) return `to must be a time such as 18:00 or 24:00: ${shown(to)}`
  if (begins === ends) return 'from and to must not be the same: 00:00 to 24:00 is a whole day'
  const zone = typeof name === 'string' ? zoneOf(name) : undefined
  if (zone === undefined) return `there is no time zone ${shown(name)}`
  return { days: new Set(indexes), from: begins, to: ends < begins ? ends + DAY_MINUTES : ends, zone }
}

function minutesOf(text: string): number | undefined {
  const [, hours, minutes] = /^(\d\d):(\d\d)$/.exec(text) ?? []
  if (hours === undefined || minutes === undefined) return undefined
  const total = Number(hours) * 60 + Number(minutes)
  return Number(minutes) < 60 && total <= DAY_MINUTES ? total : undefined
}

function shown(text: unknown): string {
  return `"${remoteText(String(text).slice(0, MAX_SHOWN))}"`
}
