import { Command, CommanderError, Option } from 'commander'
import { LinkSocksError } from '../errors.js'
import { remoteText } from '../log.js'
import { packageVersion } from '../node/system/package-version.js'
import { COMMANDS, COMPLETION, type CommandName, MANAGE_COMMANDS, RUN_COMMANDS } from './commands.js'
import { completionScript } from './completion/completion.js'
import { type CommandSpec, SHELLS, type Shell } from './settings/command-spec.js'
import { type Environment, optionError } from './settings/environment.js'
import { type Flag, IN_ORDER, longName, type Occurrence } from './settings/flags.js'
import type { CliIo } from './settings/io.js'
import { parseChoice } from './settings/values.js'

const MODE = 'LINKSOCKS_MODE'
/** Width of help texts where the terminal doesn't say. */
const DEFAULT_WIDTH = 100

/** A command to run, as it was written. */
export interface Invocation {
  readonly command: CommandName
  /** Attribute name to what was given: texts, lists of texts, booleans. Not checked yet. */
  readonly values: Readonly<Record<string, unknown>>
  /** Arguments without a flag. */
  readonly words: readonly string[]
  /** How often -d was given. */
  readonly debug: number
}

/**
 * Splits the command line into a command and its flags; help and version are answered here.
 * @returns `undefined` when help or version was asked for and written
 * @throws {LinkSocksError} ERR_OPTION, the message beginning with the flag, variable or word that is wrong
 */
export function parseCommandLine(argv: readonly string[], env: Environment, io: CliIo): Invocation | undefined {
  let invocation: Invocation | undefined
  const words = withMode(argv, env)
  const program = buildProgram(io, words, (found) => {
    invocation = found
  })
  try {
    program.parse(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return undefined
    throw usageError(error, program, argv)
  }
  return invocation
}

/** Whether neither the command line nor LINKSOCKS_MODE says anything. */
export function namesNothing(argv: readonly string[], env: Environment): boolean {
  return argv.length === 0 && (env[MODE]?.trim() ?? '') === ''
}

/** Writes the help text to standard error, for a command line that says nothing. */
export function writeUsage(io: CliIo): void {
  buildProgram({ ...io, stdout: io.stderr }, [], () => {}).outputHelp()
}

/** @param words the command line: flags are known of the commands that stand there */
function buildProgram(io: CliIo, words: readonly string[], run: (invocation: Invocation) => void): Command {
  const version = `linksocks ${packageVersion()}`
  const program = new Command('linksocks')
    .description(
      'SOCKS5 and HTTP proxies through a plain WebSocket: use the network of another machine, or offer this one.',
    )
    .usage('<command> [flags]')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .enablePositionalOptions()
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // usage errors are thrown, and written in one place
      writeErr: () => {},
      getOutHelpWidth: () => io.stdout.columns ?? DEFAULT_WIDTH,
      getErrHelpWidth: () => io.stderr.columns ?? DEFAULT_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
  const writeVersion = (): void => {
    io.stdout.write(`${version}\n`)
  }
  for (const spec of COMMANDS) addCommand(program, spec, [], words, run)
  addCommand(program, COMPLETION, [], words).action((shell: string) => writeCompletion(shell, io))
  program.command('version').description('print the version').action(writeVersion)
  return program.addHelpText('after', ROOT_EXAMPLES)
}

/** Adds `spec` below the commands `above`; without `run` the caller says what it does. */
function addCommand(
  parent: Command,
  spec: CommandSpec,
  above: readonly string[],
  words: readonly string[],
  run?: (invocation: Invocation) => void,
): Command {
  const path = [...above, spec.name]
  const command = parent
    .command(spec.name)
    .description(spec.summary)
    .addHelpOption(new Option('-h, --help', 'print this help').helpGroup(helpGroup(spec)))
    .addHelpText('after', spec.examples ?? '')
  if (spec.commands !== undefined) {
    command
      .usage('<command> [flags]')
      .helpCommand(false)
      .configureHelp({ subcommandTerm: (one) => one.name() })
    for (const below of spec.commands) addCommand(command, below, path, words, run)
    return command
  }
  command.usage(spec.words === undefined ? '[flags]' : `[flags] ${spec.words}`)
  if (spec.words !== undefined) command.arguments(spec.words)
  let debug = 0
  command.on('option:debug', () => {
    debug++
  })
  // a table for each command would take memory that only one of them needs
  if (!words.includes(spec.name)) return command
  const occurrences: Occurrence[] = []
  for (const flag of spec.flags ?? []) {
    const option = toOption(flag)
    command.addOption(option)
    if (flag.ordered === true) {
      command.on(`option:${option.name()}`, (text: string) => occurrences.push([longName(flag), text]))
    }
  }
  const name = [...RUN_COMMANDS, ...MANAGE_COMMANDS].find((known) => known === path.join(' '))
  if (run === undefined || name === undefined) return command
  return command.action(() =>
    run({ command: name, values: { ...command.opts(), [IN_ORDER]: occurrences }, words: command.args, debug }),
  )
}

/** The heading for --help: that of the flags it goes well with. */
function helpGroup({ flags = [] }: CommandSpec): string {
  return flags.find(({ group }) => group.endsWith('help:'))?.group ?? 'Help:'
}

function writeCompletion(text: string, io: CliIo): void {
  let shell: Shell
  try {
    shell = parseChoice(text, SHELLS)
  } catch (cause) {
    throw optionError('completion', LinkSocksError.from(cause, 'ERR_OPTION').message, cause)
  }
  io.stdout.write(completionScript(shell, [...COMMANDS, COMPLETION]))
}

function toOption(flag: Flag): Option {
  const option = new Option(flag.flags, describe(flag)).helpGroup(flag.group).hideHelp(flag.hidden === true)
  if (flag.repeatable !== true) return option
  return option.argParser((text: string, earlier: unknown) => [...(Array.isArray(earlier) ? earlier : []), text])
}

/** `help (default: x) [VARIABLE, VARIABLE_FILE]` */
function describe({ help, fallback, variable, secret }: Flag): string {
  const variables = variable === undefined ? [] : secret === true ? [variable, `${variable}_FILE`] : [variable]
  const parts = [help]
  if (fallback !== undefined) parts.push(`(default: ${fallback})`)
  if (variables.length > 0) parts.push(`[${variables.join(', ')}]`)
  return parts.join(' ')
}

/** Without a command, LINKSOCKS_MODE names it. */
function withMode(argv: readonly string[], env: Environment): readonly string[] {
  const [first] = argv
  const asksForHelp = first !== undefined && ['-h', '--help', '-V', '--version'].includes(first)
  if (asksForHelp || (first !== undefined && !first.startsWith('-'))) return argv
  const mode = env[MODE]?.trim().toLowerCase() ?? ''
  const expected = 'server, client, provider or connector'
  if (mode === '') throw new LinkSocksError('ERR_OPTION', `which command: ${expected}? (or set ${MODE})`)
  const command = RUN_COMMANDS.find((known) => known === mode)
  if (command === undefined) throw optionError(MODE, `must be ${expected}`)
  return [command, ...argv]
}

/** Commander's complaint in one line that begins with the culprit and repeats no value, which may be a secret. */
function usageError({ code, message }: CommanderError, program: Command, argv: readonly string[]): LinkSocksError {
  const quoted = /'([^']*)'/.exec(message)?.[1] ?? ''
  const hint = /\(Did you mean (.*)\?\)/.exec(message)?.[1]
  const suggestion = hint === undefined ? '' : ` (did you mean ${hint}?)`
  switch (code) {
    case 'commander.optionMissingArgument':
      return optionError(new Option(quoted).long ?? quoted, 'needs a value')
    case 'commander.unknownOption':
      return optionError(
        flagName(quoted),
        isSwitch(flagName(quoted), program) ? 'takes no value' : `unknown flag${suggestion}`,
      )
    case 'commander.unknownCommand':
      return optionError(remoteText(quoted), `unknown command${suggestion}`)
    case 'commander.missingArgument':
      return new LinkSocksError('ERR_OPTION', `<${quoted}> is missing; see --help`)
    case 'commander.help': {
      const group = program.commands.find((command) => command.name() === argv[0] && command.commands.length > 0)
      if (group !== undefined) return optionError(group.name(), `which command: ${wordsOf(group)}? See --help`)
      return optionError('help', 'unknown command; linksocks --help lists them')
    }
    case 'commander.excessArguments':
      return new LinkSocksError('ERR_OPTION', 'every value needs a flag before it; see --help')
    default:
      return new LinkSocksError('ERR_OPTION', remoteText(message.replace(/^error: /, '')))
  }
}

function wordsOf({ commands }: Command): string {
  const names = commands.map((command) => command.name())
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

/** `--name` of `--name=value`, `-n` of `-nvalue`. */
function flagName(argument: string): string {
  const name = argument.startsWith('--') ? (argument.split('=')[0] ?? '') : argument.slice(0, 2)
  return remoteText(name)
}

/** Whether a command has a flag of this name without a value: it was refused for its `=value` then. */
function isSwitch(name: string, program: Command): boolean {
  const ofOne = ({ options, commands }: Command): boolean =>
    options.some((option) => option.long === name && option.isBoolean()) || commands.some(ofOne)
  return ofOne(program)
}

const ROOT_EXAMPLES = `
Start here (forward mode: the client uses the server's network):
  linksocks server -t SECRET
  linksocks client -t SECRET -u ws://SERVER:8765
  curl --socks5-hostname 127.0.0.1:9870 https://example.com

The other modes and all flags: linksocks server --help, linksocks client --help, ...
Tokens of a running server: linksocks token --help.
Without a command, LINKSOCKS_MODE names it: server, client, provider or connector.`
