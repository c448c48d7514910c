import { inFolder, readText, run, tool } from './support.js'

/** level, title, file, line */
const COMPLAINT = /^::(\w+) title=(.*?),file=(.*?),line=(\d+)/gm

/** For each file with complaints the numbers of their lines, ascending. */
export type Complaints = ReadonlyMap<string, readonly number[]>

/** What the lint said; `of` picks one rule from it. */
export class LintResult {
  readonly #output: string

  constructor(output: string) {
    this.#output = output
  }

  /** @throws when a complaint is less than an error */
  of(rule: string): Complaints {
    const found = new Map<string, number[]>()
    for (const [text, level, title, file = '', line] of this.#output.matchAll(COMPLAINT)) {
      if (title !== `lint/${rule}`) continue
      if (level !== 'error') throw new Error(text)
      const name = file.slice(file.lastIndexOf('src/'))
      found.set(name, [...(found.get(name) ?? []), Number(line)])
    }
    for (const numbers of found.values()) numbers.sort((a, b) => a - b)
    return found
  }
}

/** Runs the repository's lint over planted files: over many at once, because each run takes seconds. */
export async function lint(files: ReadonlyMap<string, string>): Promise<LintResult> {
  const planted = new Map([['biome.json', await readText('biome.json')], ...files])
  const args = ['lint', '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=github', '.']
  const result = await inFolder(planted, (folder) => run(tool('biome'), args, folder))
  if (result.code > 1) throw new Error(`biome: ${result.code} ${result.stderr}`)
  return new LintResult(result.stdout)
}
