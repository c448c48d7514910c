import { readText } from '../../project/support.js'

export interface Instruction {
  /** In capitals. */
  readonly name: string
  /** The rest, continued lines joined. */
  readonly text: string
}

export interface Stage {
  readonly from: string
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

/** The stages of the Dockerfile: comments are gone, `\` at the end of a line joins it with the next. */
export async function readDockerfile(): Promise<readonly Stage[]> {
  const lines = (await readText('Dockerfile')).split('\n').filter((line) => !/^\s*(#|$)/.test(line))
  const whole = lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
  const stages: { from: string; name: string | undefined; instructions: Instruction[] }[] = []
  for (const line of whole) {
    const [, name = '', text = ''] = /^([A-Z]+) (.+)$/.exec(line) ?? []
    if (name === '') throw new Error(`not an instruction: ${line}`)
    const [, from = '', , as] = /^(\S+)( AS (\w+))?$/.exec(text) ?? []
    if (name === 'FROM') stages.push({ from, name: as, instructions: [] })
    else stages.at(-1)?.instructions.push({ name, text })
  }
  return stages
}

/** The texts of all instructions of a kind. */
export function instructions(stage: Stage | undefined, name: string): readonly string[] {
  return (stage?.instructions ?? []).filter((each) => each.name === name).map(({ text }) => text)
}

/** Whether .dockerignore keeps a path out of the image; of its patterns, those the file uses. */
export function ignores(patterns: readonly string[], path: string): boolean {
  const parts = path.split('/')
  return patterns.some((pattern) => {
    const anywhere = pattern.startsWith('**/')
    const name = new RegExp(
      `^${(anywhere ? pattern.slice(3) : pattern).replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`,
    )
    return (anywhere ? parts : parts.slice(0, 1)).some((part) => name.test(part))
  })
}

export async function ignorePatterns(): Promise<readonly string[]> {
  return (await readText('.dockerignore')).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}
