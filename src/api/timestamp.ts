/** Times of the API: RFC 3339 in UTC. Only the calendar, no clock: what time it is comes from the Clock port. */

const UTC = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d:\d\d(\.\d{1,9})?Z$/

/** @param time Unix milliseconds */
export function formatTime(time: number): string {
  return new Date(time).toISOString()
}

/** @returns Unix milliseconds, cut to whole ones; `undefined` for what is no time in UTC */
export function parseTime(text: string): number | undefined {
  const day = UTC.exec(text)?.[1]
  const time = day === undefined ? Number.NaN : Date.parse(text)
  // a 30th of February is taken for the 2nd of March
  if (Number.isNaN(time) || (day !== undefined && !formatTime(time).startsWith(day))) return undefined
  return time
}
