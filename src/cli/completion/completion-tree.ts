import { Option } from 'commander'
import { LinkSocksError } from '../../errors.js'
import type { CommandSpec } from '../settings/command-spec.js'
import type { Flag } from '../settings/flags.js'

/** What can be completed behind a flag or in place of an argument. */
export type Completed =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' }
  | { readonly kind: 'directories' }
  /** Something only its user knows. */
  | { readonly kind: 'text' }

export interface CompletedFlag {
  /** `--name`, `-n`, or both. */
  readonly names: readonly string[]
  readonly help: string
  /** `undefined`: a switch. */
  readonly value: Completed | undefined
  readonly repeatable: boolean
}

/** One command; its children and its flags. */
export interface CompletedCommand {
  /** `token add`; empty for the program itself. */
  readonly path: string
  readonly name: string
  readonly help: string
  readonly commands: readonly CompletedCommand[]
  readonly flags: readonly CompletedFlag[]
  /** What its argument may be. @default none is known */
  readonly words: readonly string[]
}

/** Characters of a help text that are shown beside what can be completed. */
const HELP_LENGTH = 80

const HELP: CompletedFlag = { names: ['-h', '--help'], help: 'print this help', value: undefined, repeatable: false }
const VERSION: CompletedFlag = { ...HELP, names: ['-V', '--version'], help: 'print the version' }

/** The program as shells complete it: `commands`, and `help` and `version`, which every program has. */
export function completionTree(commands: readonly CommandSpec[]): CompletedCommand {
  const own = commands.map((spec) => commandOf(spec, ''))
  const words = own.map(({ name }) => name)
  const help = { ...commandOf({ name: 'help', summary: 'print the help of a command' }, ''), flags: [], words }
  const version = commandOf({ name: 'version', summary: 'print the version' }, '')
  return { path: '', name: '', help: '', commands: [...own, version, help], flags: [HELP, VERSION], words: [] }
}

function commandOf(
  { name, summary, commands = [], flags = [], choices = [] }: CommandSpec,
  above: string,
): CompletedCommand {
  const path = above === '' ? checkedWord(name) : `${above} ${checkedWord(name)}`
  return {
    path,
    name,
    help: shortHelp(summary),
    commands: commands.map((spec) => commandOf(spec, path)),
    flags: [...flags.filter(({ hidden }) => hidden !== true).map(flagOf), HELP],
    words: choices.map(checkedWord),
  }
}

function flagOf(flag: Flag): CompletedFlag {
  const { short, long, required } = new Option(flag.flags)
  const names = [short, long].filter((name) => name !== undefined).map(checkedWord)
  const value = required ? completedOf(flag) : undefined
  return { names, help: shortHelp(flag.help), value, repeatable: flag.repeatable === true }
}

function completedOf({ flags, choices }: Flag): Completed {
  if (choices !== undefined) return { kind: 'words', words: choices.map(checkedWord) }
  if (flags.endsWith('<path>')) return { kind: 'files' }
  if (flags.endsWith('<directory>')) return { kind: 'directories' }
  return { kind: 'text' }
}

/** Words stand in the scripts as they are: no shell may see anything in them. */
function checkedWord(word: string): string {
  if (/^-{0,2}[A-Za-z][\w-]*$/.test(word)) return word
  throw new LinkSocksError('ERR_OPTION', `'${word}' can't be completed`)
}

/** One short line without what could act on a terminal. */
function shortHelp(text: string): string {
  const line = (text.split(';')[0] ?? '').replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  return line.length <= HELP_LENGTH ? line : `${line.slice(0, HELP_LENGTH).replace(/ [^ ]*$/, '')} ...`
}

/** A command and all below it. */
export function allCommands(command: CompletedCommand): readonly CompletedCommand[] {
  return [command, ...command.commands.flatMap(allCommands)]
}
