import { inFolder, readText, run, tool } from './support.js'

/** level, title, file, line */
const COMPLAINT = /^::(\w+) title=(.*?),file=(.*?),line=(\d+)/gm

/**
 * Runs the repository's lint over planted files and picks one rule from what it says.
 * @returns for each file with complaints the numbers of their lines, ascending
 * @throws when a complaint is less than an error
 */
export async function lint(
  rule: string,
  files: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const planted = new Map([['biome.json', await readText('biome.json')], ...files])
  const args = ['lint', '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=github', '.']
  const result = await inFolder(planted, (folder) => run(tool('biome'), args, folder))
  if (result.code > 1) throw new Error(`biome: ${result.code} ${result.stderr}`)
  const found = new Map<string, number[]>()
  for (const [text, level, title, file = '', line] of result.stdout.matchAll(COMPLAINT)) {
    if (title !== `lint/${rule}`) continue
    if (level !== 'error') throw new Error(text)
    const name = file.slice(file.lastIndexOf('src/'))
    found.set(name, [...(found.get(name) ?? []), Number(line)])
  }
  for (const numbers of found.values()) numbers.sort((a, b) => a - b)
  return found
}
