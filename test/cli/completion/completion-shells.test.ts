import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COMMANDS, COMPLETION } from '../../../src/cli/commands.js'
import { completionScript } from '../../../src/cli/completion/completion.js'
import { type CommandSpec, SHELLS, type Shell } from '../../../src/cli/settings/command-spec.js'
import { patience } from '../../support/wait.js'

/** What a flag's help or a command's summary could do to a script. */
const NASTY = `it's "quoted" \`touch pwned\` $(touch pwned) [a] {b,c} \\ <x> & | * ~ %s: end`
const NASTY_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'odd',
    summary: NASTY,
    flags: [
      { flags: '-o, --odd <value>', help: NASTY, group: '' },
      { flags: '--even', help: NASTY, group: '' },
    ],
  },
]

/** Completes the last of `words`, which may be empty, in the shell; gives what it offers. */
type Complete = (script: string, words: readonly string[], folder: string) => readonly string[]

function runShell(shell: Shell, args: readonly string[], folder: string): readonly string[] {
  const { status, stdout, stderr } = spawnSync(shell, args, { cwd: folder, encoding: 'utf8', timeout: patience() })
  expect([stderr, status]).toEqual(['', 0])
  return stdout.split('\n').filter((line) => line !== '')
}

const BASH = `source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_linksocks 2>/dev/null
printf '%s\\n' "\${COMPREPLY[@]}"`

/** Types a line into an interactive zsh and lets its completion functions tell what they add. */
const ZSH = `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1= ; RPS1= ; unsetopt zle_bracketed_paste beep; autoload -Uz compinit; compinit -u -D'
zpty -w z 'source '$1
zpty -w z 'compadd () { local -a got dscr; if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)* ]]; then builtin compadd "$@"; return; fi; builtin compadd -A got "$@"; print -l -- "<"\${^got}">"; builtin compadd "$@" }'
zpty -w z 'finish () { zle complete-word; print -r -- "DO""NE" }; zle -N finish; bindkey "^I" finish'
zpty -w z 'PS1="REA""DY> "'
zpty -r -m z line '*READY> *'
zpty -w -n z $2$'\\t'
zpty -r -m z line '*DONE*'
print -r -- "$line"
zpty -d z`

const COMPLETE: Readonly<Record<Shell, Complete>> = {
  bash: (script, words, folder) =>
    // as readline splits them
    runShell(
      'bash',
      ['--norc', '-c', BASH, 'bash', script, 'linksocks', ...words.flatMap((word) => word.split(/(?<==)|(?==)/))],
      folder,
    ),
  zsh: (script, words, folder) => {
    const lines = runShell('zsh', ['-f', '-c', ZSH, 'zsh', script, ['linksocks', ...words].join(' ')], folder)
    const found = lines.flatMap((line) => [...line.matchAll(/<([^<>]+)>\r?$/g)].map(([, word]) => word ?? ''))
    return [...new Set(found.map((word) => word.replace(/[=+]$/, '')))]
  },
  fish: (script, words, folder) => {
    const line = ['linksocks', ...words].join(' ')
    const offered = runShell('fish', ['-N', '-c', 'source $argv[1]; complete -C $argv[2]', script, line], folder)
    return offered.map((text) => (text.split('\t')[0] ?? '').replace(/^(-[^=]*)=(?=.)/, ''))
  },
}

/** bash is everywhere; the others are tried where they are installed. */
const present = SHELLS.filter((shell) => spawnSync(shell, ['-c', 'exit 0']).status === 0)

const folder = mkdtempSync(join(tmpdir(), 'linksocks-completion-'))
afterAll(() => rmSync(folder, { recursive: true }))

function scriptFile(shell: Shell, name: string, commands: readonly CommandSpec[]): string {
  const path = join(folder, `${name}.${shell}`)
  writeFileSync(path, completionScript(shell, commands))
  return path
}

it('bash is among the shells that the completion is tried in', () => {
  expect(present).toContain('bash')
})

describe.each(present)('linksocks completion %s', (shell) => {
  const work = join(folder, `work-${shell}`)
  let complete: (...words: readonly string[]) => readonly string[]
  beforeAll(() => {
    mkdirSync(join(work, 'a folder'), { recursive: true })
    writeFileSync(join(work, 'a key'), '')
    writeFileSync(join(work, 'axe'), '')
    const script = scriptFile(shell, 'ours', [...COMMANDS, COMPLETION])
    complete = (...words) => [...COMPLETE[shell](script, words, work)].sort()
  })

  it('completes commands', () => {
    const names = [...COMMANDS, COMPLETION].map(({ name }) => name)
    expect(complete('')).toEqual([...names, 'help', 'version'].sort())
    expect(complete('con')).toEqual(['connector'])
    expect(complete('token', '')).toEqual(['add', 'check', 'list', 'rm', 'set', 'show', 'usage'])
  })

  it('completes words', () => {
    expect(complete('completion', '')).toEqual(['bash', 'fish', 'zsh'])
    expect(complete('help', 'pro')).toEqual(['provider'])
  })

  it('completes the flags of the command in question', () => {
    expect(complete('server', '--data')).toEqual(['--data-dir', '--data-dir-wait', '--data-key-file'])
    expect(complete('token', 'add', '--ex')).toEqual(['--expires-at', '--expires-in'])
    expect(complete('token', 'add', '--type', 'forward', '--la')).toEqual(['--label'])
    expect(complete('token', 'set', '--rate')).toEqual(['--rate-burst', '--rate-down', '--rate-up'])
    expect(complete('token', 'usage', '--re')).toEqual(['--reset'])
    expect(complete('token', 'list', '--s')).toEqual(['--server-name', '--server-proxy', '--show-tokens'])
    expect(complete('provider', '--socks')).toEqual([])
  })

  it('completes values', () => {
    expect(complete('server', '--log-format', '')).toEqual(['json', 'text'])
    expect(complete('token', 'add', '--type', 'r')).toEqual(['reverse'])
    expect(complete('token', 'add', '--type=c')).toEqual(['connector'])
    expect(complete('server', '-t', '')).toEqual([])
  })

  it('completes files and directories', () => {
    const bare = (words: readonly string[]): readonly string[] => words.map((word) => word.replaceAll(/\\|\/$/g, ''))
    expect(bare(complete('server', '--token-file', 'a'))).toEqual(expect.arrayContaining(['a key', 'axe']))
    expect(bare(complete('server', '--data-dir', 'a'))).toEqual(['a folder'])
  })

  it('takes every help text as text', () => {
    const script = scriptFile(shell, 'nasty', NASTY_COMMANDS)
    expect([...COMPLETE[shell](script, [''], work)].sort()).toEqual(['help', 'odd', 'version'])
    expect([...COMPLETE[shell](script, ['odd', '--'], work)].sort()).toEqual(['--even', '--help', '--odd'])
    const left = spawnSync('ls', [work], { encoding: 'utf8' }).stdout
    expect(left).toBe('a folder\na key\naxe\n')
  })
})

describe('completion scripts', () => {
  it.each(SHELLS)('of %s take no word that a shell would see something in', (shell) => {
    const bad = (name: string): readonly CommandSpec[] => [{ name, summary: '' }]
    for (const name of ['a b', '$(x)', "a'", '']) expect(() => completionScript(shell, bad(name))).toThrow('completed')
  })
})
