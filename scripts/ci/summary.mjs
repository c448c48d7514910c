const COLUMNS = ['suite', 'passed', 'failed', 'skipped', 'time']

/** One suite in a line, with what makes it fail beside its tests. */
export function suiteLine({ name, passed, failed, skipped, ms, reason }) {
  const note = reason === undefined ? '' : ` (${reason})`
  return `=== ${name}: ${passed} passed, ${failed} failed, ${skipped} skipped in ${timeText(ms)}${note}`
}

/** All suites, a row each. */
export function table(rows) {
  const cells = rows.map(({ name, passed, failed, skipped, ms }) =>
    [name, passed, failed, skipped, timeText(ms)].map(String),
  )
  const widths = COLUMNS.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column].length)))
  const line = (row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
  return [COLUMNS, ...cells].map((row) => line(row).join('  ')).join('\n')
}

/** The sum, in the form that counting tools read. */
export function sumLine(rows) {
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0)
  return `${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`
}

function timeText(ms) {
  const seconds = Math.round(ms / 1_000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
