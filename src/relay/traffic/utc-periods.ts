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

const DAY_MS = 86_400_000
/** Longer than any month. */
const SOME_DAYS = 32
/** The last year that has four digits. */
const MAX_TIME = 253_402_300_799_999

const format = new Intl.DateTimeFormat('en-US', {
  ...{ timeZone: 'UTC', calendar: 'gregory', numberingSystem: 'latn' },
  ...{ year: 'numeric', month: '2-digit', day: '2-digit' },
})
let last: UtcPeriods | undefined

/** @param time Unix milliseconds; before 1970 and after 9999 it is taken for the first or last moment between */
export function utcPeriods(time: number): UtcPeriods {
  const shown = Math.min(MAX_TIME, Math.max(0, time))
  // it is asked for with each piece of data
  if (last === undefined || shown < last.dayBegins || shown >= last.dayEnds) last = periodsAt(shown)
  return last
}

function periodsAt(time: number): UtcPeriods {
  const dayBegins = Math.floor(time / DAY_MS) * DAY_MS
  const day = nameOf(dayBegins)
  const within = Number(day.slice(-2))
  const next = dayBegins + (SOME_DAYS - within + 1) * DAY_MS
  const monthEnds = next - (Number(nameOf(next).slice(-2)) - 1) * DAY_MS
  return { day, month: day.slice(0, -3), dayBegins, dayEnds: dayBegins + DAY_MS, monthEnds }
}

function nameOf(time: number): string {
  const parts = new Map(format.formatToParts(time).map(({ type, value }) => [type, value]))
  return [parts.get('year')?.padStart(4, '0'), parts.get('month'), parts.get('day')].join('-')
}
