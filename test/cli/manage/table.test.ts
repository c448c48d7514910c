import { describe, expect, it } from 'vitest'
import {
  ageText,
  bytesText,
  cell,
  durationText,
  jsonText,
  renderTable,
  roughSize,
} from '../../../src/cli/manage/table.js'

describe('renderTable', () => {
  it('lines up columns of wide characters', () => {
    expect(
      renderTable(
        ['A', 'B'],
        [
          ['办公室', 'x'],
          ['é', 'y'],
          ['👨‍👩‍👧', 'z'],
        ],
      ),
    ).toBe('A       B\n办公室  x\né       y\n👨‍👩‍👧      z\n')
  })

  it('shortens the widest column to the terminal, between characters', () => {
    const rows = [['办公室办公室办公室办公室', 'short']]
    expect(renderTable(['LABEL', 'B'], rows, 24)).toBe('LABEL              B\n办公室办公室办公…  short\n')
    expect(renderTable(['LABEL', 'B'], rows, 31)).toBe('LABEL                     B\n办公室办公室办公室办公室  short\n')
  })

  it('keeps a least width, whatever the terminal', () => {
    expect(renderTable(['LABEL'], [['x'.repeat(40)]], 1)).toBe(`LABEL\n${'x'.repeat(11)}…\n`)
  })
})

describe('texts of a table', () => {
  it.each([
    [0, '0 B'],
    [1_023, '1023 B'],
    [1_024, '1.0 KiB'],
    [10_240, '10 KiB'],
    [1_572_864, '1.5 MiB'],
    [2 ** 62, '4096 PiB'],
  ])('show %d bytes as %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text)
  })

  it.each([
    [0, '0'],
    [0.9, '0'],
    [999, '999'],
    [1_239, '1230'],
    [65_536, '65.5K'],
    [12_345_678_901, '12.3G'],
    [49_999_999_999, '49.9G'],
    [50_000_000_000, '50G'],
    [Number.MAX_SAFE_INTEGER, '9000T'],
  ])('show %d bytes roughly as %s', (bytes, text) => {
    expect(roughSize(bytes)).toBe(text)
  })

  it.each([
    [-5, '0 s'],
    [999, '0 s'],
    [61_000, '1 min 1 s'],
    [3_600_000, '1 h'],
    [3_601_000, '1 h'],
    [90_000_000, '1 d 1 h'],
  ])('show %d ms as %s', (ms, text) => {
    expect(durationText(ms)).toBe(text)
  })

  it('show since when, or what stands there instead', () => {
    expect(ageText('1970-01-01T00:00:00.000Z', 5_000)).toBe('5 s')
    expect(ageText('\u001b', 5_000)).toBe('\\u{1b}')
  })

  it('show what is absent', () => {
    for (const text of [undefined, null, '']) expect(cell(text)).toBe('-')
  })

  it('are the same document when escaped for a terminal', () => {
    const value = { a: '\u009b\u202e\u{e0001}\u2028\u001b"办' }
    expect(jsonText(value)).toMatch(/^[\n -~办]*$/)
    expect(JSON.parse(jsonText(value))).toEqual(value)
  })
})
