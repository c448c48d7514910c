import { Command, CommanderError, Option } from 'commander'
import { LinkSocksError } from '../errors.js'
import { remoteText } from '../log.js'
import { packageVersion } from '../node/package-version.js'
import { CLIENT_EXAMPLES, CLIENT_SUMMARIES, type ClientCommand, clientFlags } from './client-flags.js'
import { type Environment, optionError } from './environment.js'
import { DEBUG, type Flag } from './flags.js'
import type { CliIo } from './io.js'
import { SERVER_EXAMPLES, SERVER_FLAGS, SERVER_SUMMARY } from './server-flags.js'

export type RunCommand = 'server' | ClientCommand

const RUN_COMMANDS: readonly RunCommand[] = ['server', 'client', 'provider', 'connector']
const MODE = 'LINKSOCKS_MODE'
/** Width of help texts where the terminal doesn't say. */
const DEFAULT_WIDTH = 100

/** A command to run, as it was written. */
export interface Invocation {
  readonly command: RunCommand
  /** Attribute name to what was given: texts, lists of texts, booleans. Not checked yet. */
  readonly values: Readonly<Record<string, unknown>>
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
  const program = buildProgram(io, (found) => {
    invocation = found
  })
  try {
    program.parse(withMode(argv, env), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return undefined
    throw usageError(error, program)
  }
  return invocation
}

/** Whether neither the command line nor LINKSOCKS_MODE says anything. */
export function namesNothing(argv: readonly string[], env: Environment): boolean {
  return argv.length === 0 && (env[MODE]?.trim() ?? '') === ''
}

/** Writes the help text to standard error, for a command line that says nothing. */
export function writeUsage(io: CliIo): void {
  buildProgram({ ...io, stdout: io.stderr }, () => {}).outputHelp()
}

function buildProgram(io: CliIo, run: (invocation: Invocation) => void): Command {
  const version = `linksocks ${packageVersion()}`
  const program = new Command('linksocks')
    .description('SOCKS5 through a plain WebSocket: use the network of another machine, or offer this one.')
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
  for (const command of RUN_COMMANDS) addCommand(program, command, run)
  program
    .command('version')
    .description('print the version')
    .action(() => {
      io.stdout.write(`${version}\n`)
    })
  return program.addHelpText('after', ROOT_EXAMPLES)
}

function addCommand(program: Command, name: RunCommand, run: (invocation: Invocation) => void): void {
  let debug = 0
  const command = program
    .command(name)
    .usage('[flags]')
    .description(name === 'server' ? SERVER_SUMMARY : CLIENT_SUMMARIES[name])
    .addHelpOption(new Option('-h, --help', 'print this help').helpGroup(DEBUG.group))
    .addHelpText('after', name === 'server' ? SERVER_EXAMPLES : CLIENT_EXAMPLES[name])
    .on('option:debug', () => {
      debug++
    })
    .action(() => run({ command: name, values: command.opts(), debug }))
  for (const flag of name === 'server' ? SERVER_FLAGS : clientFlags(name)) command.addOption(toOption(flag))
}

function toOption(flag: Flag): Option {
  const option = new Option(flag.flags, describe(flag)).helpGroup(flag.group).hideHelp(flag.hidden === true)
  if (flag.repeatable !== true) return option
  return option.argParser((text: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), text])
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
function usageError({ code, message }: CommanderError, program: Command): LinkSocksError {
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
    case 'commander.help':
      return optionError('help', 'unknown command; linksocks --help lists them')
    case 'commander.excessArguments':
      return new LinkSocksError('ERR_OPTION', 'every value needs a flag before it; see --help')
    default:
      return new LinkSocksError('ERR_OPTION', remoteText(message.replace(/^error: /, '')))
  }
}

/** `--name` of `--name=value`, `-n` of `-nvalue`. */
function flagName(argument: string): string {
  const name = argument.startsWith('--') ? (argument.split('=')[0] ?? '') : argument.slice(0, 2)
  return remoteText(name)
}

/** Whether a command has a flag of this name without a value: it was refused for its `=value` then. */
function isSwitch(name: string, program: Command): boolean {
  return program.commands.some(({ options }) => options.some((option) => option.long === name && option.isBoolean()))
}

const ROOT_EXAMPLES = `
Start here (forward mode: the client uses the server's network):
  linksocks server -t SECRET
  linksocks client -t SECRET -u ws://SERVER:8765
  curl --socks5-hostname 127.0.0.1:9870 https://example.com

The other modes and all flags: linksocks server --help, linksocks client --help, ...
Without a command, LINKSOCKS_MODE names it: server, client, provider or connector.`
