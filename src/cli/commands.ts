import * as manage from './manage/manage-flags.js'
import type { ManageCommand } from './manage/task.js'
import { CLIENT_EXAMPLES, CLIENT_SUMMARIES, type ClientCommand, clientFlags } from './settings/client-flags.js'
import { type CommandSpec, SHELLS } from './settings/command-spec.js'
import { SERVER_EXAMPLES, SERVER_FLAGS, SERVER_SUMMARY } from './settings/server-flags.js'

export type RunCommand = 'server' | ClientCommand

export const RUN_COMMANDS: readonly RunCommand[] = ['server', 'client', 'provider', 'connector']

/** Commands that are carried out, by their whole name. */
export type CommandName = RunCommand | ManageCommand

export const MANAGE_COMMANDS: readonly ManageCommand[] = [
  'status',
  'token list',
  'token show',
  'token add',
  'token set',
  'token check',
  'token usage',
  'token rm',
]

const TOKEN_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'list',
    summary: 'list the tokens of a running server',
    flags: manage.LIST_FLAGS,
    examples: manage.LIST_EXAMPLES,
  },
  {
    name: 'show',
    summary: 'show one token with its access rules and its policy',
    flags: manage.SHOW_FLAGS,
    examples: manage.SHOW_EXAMPLES,
    words: '<id>',
  },
  {
    name: 'add',
    summary: 'add a token, and print it with the command for the other machine',
    flags: manage.ADD_FLAGS,
    examples: manage.ADD_EXAMPLES,
  },
  {
    name: 'set',
    summary: 'change tokens: enable, disable, label, expiry, user name, policy',
    flags: manage.SET_FLAGS,
    examples: manage.SET_EXAMPLES,
    words: '<id...>',
  },
  {
    name: 'check',
    summary: 'say whether a token may reach a destination, and why',
    flags: manage.CHECK_FLAGS,
    examples: manage.CHECK_EXAMPLES,
    words: '<id> <host:port>',
  },
  {
    name: 'usage',
    summary: 'show what a token carried, how much of its quota was used, and what was refused',
    flags: manage.USAGE_FLAGS,
    examples: manage.USAGE_EXAMPLES,
    words: '<id>',
  },
  {
    name: 'rm',
    summary: 'remove tokens and disconnect their clients',
    flags: manage.REMOVE_FLAGS,
    examples: manage.REMOVE_EXAMPLES,
    words: '<id-or-token...>',
  },
]

/** Every command but version and help, in the order of `--help`. */
export const COMMANDS: readonly CommandSpec[] = [
  { name: 'server', summary: SERVER_SUMMARY, flags: SERVER_FLAGS, examples: SERVER_EXAMPLES },
  ...(['client', 'provider', 'connector'] as const).map((name) => ({
    name,
    summary: CLIENT_SUMMARIES[name],
    flags: clientFlags(name),
    examples: CLIENT_EXAMPLES[name],
  })),
  {
    name: 'status',
    summary: 'show what a running server does',
    flags: manage.STATUS_FLAGS,
    examples: manage.STATUS_EXAMPLES,
  },
  {
    name: 'token',
    summary: 'list, show, add, change, check, measure and remove tokens of a running server',
    commands: TOKEN_COMMANDS,
  },
]

export const COMPLETION: CommandSpec = {
  name: 'completion',
  summary: 'print a script that completes commands and flags in a shell',
  words: '<shell>',
  choices: SHELLS,
  examples: `
Examples:
  bash, in ~/.bashrc
    eval "$(linksocks completion bash)"

  zsh, in ~/.zshrc below compinit
    source <(linksocks completion zsh)

  fish
    linksocks completion fish > ~/.config/fish/completions/linksocks.fish`,
}
