// only the calendar, no clock: what time it is comes from the Clock port; `Intl` would take 8 MB of memory from the start

/** The day and the month that a moment lies in, both in UTC. */
export interface UtcPeriods {
  /** `2030-01-31` */
  readonly day: string
  /** `2030-01` */
  readonly month: string
  /** Unix milliseconds. */
  readonly dayBegins: number
  /** The first moment that lies in neither. */
  readonly dayEnds: number
  readonly monthEnds: number
}

/** The last moment of the year 9999. */
const MAX_TIME = 253_402_300_799_999

let last: UtcPeriods | undefined

/** @param time Unix milliseconds; before 1970 and after 9999 it is taken for the first or last moment between */
export function utcPeriods(time: number): UtcPeriods {
  const shown = Math.min(MAX_TIME, Math.max(0, time))
  // it is asked for with each piece of data
  if (last === undefined || shown < last.dayBegins || shown >= last.dayEnds) last = periodsOf(new Date(shown))
  return last
}

function periodsOf(date: Date): UtcPeriods {
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  const text = date.toISOString()
  return {
    day: text.slice(0, text.indexOf('T')),
    month: text.slice(0, text.lastIndexOf('-')),
    dayBegins: Date.UTC(year, month, day),
    dayEnds: Date.UTC(year, month, day + 1),
    monthEnds: Date.UTC(year, month + 1, 1),
  }
}
