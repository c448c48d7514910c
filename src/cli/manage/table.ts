import stringWidth from 'string-width'
import { remoteText } from '../../log.js'
import { sizeText } from '../settings/values.js'

/** Least width that {@link renderTable} shortens a column to. */
const MIN_WIDTH = 12
const GAP = '  '
const ELLIPSIS = '…'

const segments = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Whatever is shown of an absent value. */
export const NONE = '-'

/** Text of a server for one cell. */
export function cell(text: string | null | undefined): string {
  return text === undefined || text === null || text === '' ? NONE : remoteText(text)
}

/**
 * Lines of columns under their headings, in the width that texts have on a terminal: two for East Asian wide characters.
 * @param columns width of the terminal; the widest columns are shortened to fit. @default no limit
 */
export function renderTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number = Number.POSITIVE_INFINITY,
): string {
  const all = [headings, ...rows]
  const widths = headings.map((_, index) => Math.max(...all.map((row) => stringWidth(row[index] ?? ''))))
  narrow(widths, columns)
  return all
    .map(
      (row) =>
        `${widths
          .map((width, index) => pad(row[index] ?? '', width))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join('')
}

/** Takes from the widest column until the sum fits. */
function narrow(widths: number[], columns: number): void {
  const total = (): number => widths.reduce((sum, width) => sum + width, (widths.length - 1) * GAP.length)
  for (let over = total() - columns; over > 0; over = total() - columns) {
    const widest = Math.max(...widths)
    if (widest <= MIN_WIDTH) return
    widths[widths.indexOf(widest)] = Math.max(MIN_WIDTH, widest - 1)
  }
}

function pad(text: string, width: number): string {
  const shown = shorten(text, width)
  return shown + ' '.repeat(Math.max(0, width - stringWidth(shown)))
}

function shorten(text: string, width: number): string {
  if (stringWidth(text) <= width) return text
  let shown = ''
  let used = 1
  for (const { segment } of segments.segment(text)) {
    used += stringWidth(segment)
    if (used > width) break
    shown += segment
  }
  return shown + ELLIPSIS
}

export type Fact = readonly [name: string, value: string]

/** A line for each fact, names and values in columns. */
export function factLines(indent: string, facts: readonly Fact[]): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, value]) => `${indent}${name.padEnd(width)}  ${value}\n`).join('')
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1.4 MiB` */
export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1)
  const value = bytes / 1_024 ** power
  return `${power === 0 ? bytes : value.toFixed(value < 10 ? 1 : 0)} ${UNITS[power]}`
}

/** Three digits of a count of bytes in the units that rates and quotas are given in, `12.3G`; never more than there is. */
export function roughSize(bytes: number): string {
  const whole = Math.floor(bytes)
  return sizeText(whole - (whole % 10 ** Math.max(0, String(whole).length - 3)))
}

/** `3 d 4 h`, `5 min 12 s`: the two largest units. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first === -1) return '0 s'
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}

/** `3 d 4 h` since an RFC 3339 time, or the text as it is when it is none. */
export function ageText(since: string, now: number): string {
  const time = Date.parse(since)
  return Number.isNaN(time) ? cell(since) : durationText(now - time)
}

// what JSON.stringify() leaves as it is and a terminal may act on
const UNSAFE = /[\u007f-\u009f]|\p{Cf}|\p{Zl}|\p{Zp}/gu

/** One JSON document for programs; a terminal may see it too. */
export function jsonText(value: unknown): string {
  const escaped = (char: string): string =>
    [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')
  return `${JSON.stringify(value, null, 2).replace(UNSAFE, escaped)}\n`
}
