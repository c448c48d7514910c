import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { KIB, MIB } from '../../src/protocol/limits.js'

interface Row {
  readonly limit: string
  readonly name: string
  readonly source: string
  readonly test: string
}

async function rows(): Promise<readonly Row[]> {
  const text = await readFile('docs/limits.md', 'utf8')
  return text.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim())
    const [, name, source] = /^`(\w+)` in `(.+)`$/.exec(cells[4] ?? '') ?? []
    const [, test] = /^`(.+)`$/.exec(cells[5] ?? '') ?? []
    return name === undefined || source === undefined ? [] : [{ limit: cells[2] ?? '', name, source, test: test ?? '' }]
  })
}

const DAY_MS = 24 * 3_600_000
const UNITS: Readonly<Record<string, number>> = { KiB: KIB, MiB: MIB, s: 1_000, min: 60_000, h: 3_600_000, d: DAY_MS }
/** Names that limits are a multiple of. */
const FACTORS: Readonly<Record<string, number>> = { KIB, MIB, DAY_MS }

/** Every number in a limit's text, in bytes or milliseconds. */
function numbersOf(limit: string): readonly number[] {
  return Array.from(limit.matchAll(/([\d,]+)(?: (KiB|MiB|s|min|h|d)\b)?/g), ([, number = '', unit = '']) => {
    return Number(number.replaceAll(',', '')) * (UNITS[unit] ?? 1)
  })
}

/** What the source gives `name`: a number, a product, or an object of such. */
function valuesIn(name: string, source: string): readonly number[] {
  const [, expression = ''] = new RegExp(`const ${name}[^=]*= ([^\\n]+)`).exec(source) ?? []
  return Array.from(expression.matchAll(/([\d_]+)(?: \* (\w+))?/g), ([, number = '', factor = '']) => {
    const times = FACTORS[factor] ?? Number(factor.replaceAll('_', '') || 1)
    return Number(number.replaceAll('_', '')) * times
  })
}

describe('docs/limits.md', () => {
  it('gives every limit as it is in the code', async () => {
    const wrong: string[] = []
    for (const { limit, name, source } of await rows()) {
      const values = existsSync(source) ? valuesIn(name, await readFile(source, 'utf8')) : []
      const told = numbersOf(limit)
      if (values.length === 0 || !values.every((value) => told.includes(value))) wrong.push(`${name}: ${limit}`)
    }
    expect(wrong).toEqual([])
    expect((await rows()).length).toBeGreaterThan(30)
  })

  it('names a test for each', async () => {
    const missing = (await rows()).filter(({ test }) => !existsSync(test))
    expect(missing.map(({ name, test }) => `${name}: ${test}`)).toEqual([])
  })
})
