import { beforeAll, describe, expect, it } from 'vitest'
import { type LintResult, lint } from './lint.js'

/** A function whose body has so many lines. */
function functionOf(name: string, lines: number): string {
  return `export function ${name}(f: () => void): void {\n${'  f()\n'.repeat(lines)}}\n`
}

/** Rule, text that breaks it, lines on which it does. */
const BROKEN: readonly (readonly [string, string, readonly number[]])[] = [
  ['nursery/noFloatingPromises', 'async function f(): Promise<void> {}\nf()\nvoid f()\nawait f()\n', [2]],
  ['nursery/noMisusedPromises', 'async function f(): Promise<boolean> { return true }\nif (f()) {}\n', [2]],
  ['suspicious/noExplicitAny', 'export const a: unknown = 1\nexport const b: any = 1\n', [2]],
  ['suspicious/noConsole', 'console.log(1)\n', [1]],
  ['style/noNonNullAssertion', 'export const f = (a?: string): string => a!\n', [1]],
  ['style/noDefaultExport', 'export default 1\n', [1]],
  ['style/useImportType', "import { A } from './a.js'\nexport type B = A\n", [1]],
  ['style/useNodejsImportProtocol', "import 'net'\n", [1]],
  ['style/useThrowOnlyError', "throw 'text'\n", [1]],
  ['correctness/noUnusedImports', "import { a, b } from './a.js'\nexport const c = a\n", [1]],
  ['correctness/noUnusedVariables', 'const a = 1\n', [1]],
  ['complexity/noExcessiveLinesPerFunction', functionOf('fits', 60) + functionOf('long', 61), [63]],
]
const COMMAND = 'src/cli/x.ts'
/** Files that need each other, the last two of them for types alone. */
const CIRCLES: readonly (readonly [string, string])[] = [
  ['src/mux/circle-a.ts', "import { b } from './circle-b.js'\nexport const a = (): unknown => b\n"],
  ['src/mux/circle-b.ts', "import { a } from './circle-a.js'\nexport const b = (): unknown => a\n"],
  ['src/mux/types-a.ts', "import type { B } from './types-b.js'\nexport interface A { readonly b?: B }\n"],
  ['src/mux/types-b.ts', "import type { A } from './types-a.js'\nexport interface B { readonly a?: A }\n"],
]

function fileOf(rule: string): string {
  return `src/mux/${rule.replace('/', '-')}.ts`
}

describe('lint', () => {
  let result: LintResult
  beforeAll(async () => {
    const broken = BROKEN.map(([rule, text]) => [fileOf(rule), text] as const)
    result = await lint(new Map([...broken, ...CIRCLES, [COMMAND, 'console.log(1)\n']]))
  })

  it.each(BROKEN)('makes an error of %s', (rule, _text, lines) => {
    expect(result.of(rule).get(fileOf(rule))).toEqual(lines)
  })

  it.each(CIRCLES)('makes an error of a circle that goes through %s', (file) => {
    expect(result.of('suspicious/noImportCycles').get(file)).toEqual([1])
  })

  it('lets the command print', () => {
    expect(result.of('suspicious/noConsole').has(COMMAND)).toBe(false)
  })
})
