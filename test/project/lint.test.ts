import { describe, expect, it } from 'vitest'
import { lint } from './lint.js'

const FILE = 'src/mux/x.ts'

describe('lint', () => {
  it.each([
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
  ])('makes an error of %s', async (rule, text, lines) => {
    expect([...(await lint(rule, new Map([[FILE, text]])))]).toEqual([[FILE, lines]])
  })

  it('lets the command print', async () => {
    expect((await lint('suspicious/noConsole', new Map([['src/cli/x.ts', 'console.log(1)\n']]))).size).toBe(0)
  })
})
