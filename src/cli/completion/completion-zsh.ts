import type { Completed, CompletedCommand, CompletedFlag } from './completion-tree.js'

/** For zsh with compinit: as a file `_linksocks` in fpath, or sourced. */
export function zshScript(program: CompletedCommand): string {
  return `#compdef linksocks
# zsh completion of linksocks: source <(linksocks completion zsh)
${functionsOf(program).join('\n')}
if [ "$funcstack[1]" = _linksocks ]; then
  _linksocks "$@"
else
  compdef _linksocks linksocks
fi
`
}

function functionName(path: string): string {
  return path === '' ? '_linksocks' : `_linksocks_${path.replaceAll(/[ -]/g, '_')}`
}

/** One function for each command, those it calls first. */
function functionsOf(command: CompletedCommand): readonly string[] {
  const below = command.commands.flatMap(functionsOf)
  return [...below, command.commands.length === 0 ? leafFunction(command) : groupFunction(command)]
}

function leafFunction({ path, flags, words }: CompletedCommand): string {
  const argument = words.length === 0 ? [] : [`'1:word:(${words.join(' ')})'`]
  const specs = [...flags.map(flagSpec), ...argument]
  return `${functionName(path)}() {
  _arguments -s -S ${specs.map((spec) => `\\\n    ${spec}`).join(' ')}
}`
}

function groupFunction({ path, commands, flags }: CompletedCommand): string {
  const described = commands.map(({ name, help }) => quote(`${name}:${help.replaceAll(/[\\:]/g, '\\$&')}`))
  const cases = commands.map((command) => `        ${command.name}) ${functionName(command.path)} ;;`)
  return `${functionName(path)}() {
  local context curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C ${flags.map((flag) => `\\\n    ${flagSpec(flag)}`).join(' ')} \\
    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command)
      local -a commands
      commands=(
${described.map((text) => `        ${text}`).join('\n')}
      )
      _describe -t commands command commands
      ;;
    rest)
      case $line[1] in
${cases.join('\n')}
      esac
      ;;
  esac
}`
}

/** `'(-t --token)'{-t+,--token=}'[help]:value:action'`, as _arguments reads it. */
function flagSpec({ names, help, value, repeatable }: CompletedFlag): string {
  const excluded = repeatable || names.length < 2 ? '' : `'(${names.join(' ')})'`
  const tail = quote(`[${escapeBrackets(help)}]${value === undefined ? '' : actionOf(value)}`)
  const marked = names.map((name) => `${name}${value === undefined ? '' : name.startsWith('--') ? '=' : '+'}`)
  const star = repeatable ? `'*'` : ''
  return `${excluded}${star}${marked.length === 1 ? marked[0] : `{${marked.join(',')}}`}${tail}`
}

function actionOf(value: Completed): string {
  switch (value.kind) {
    case 'words':
      return `:value:(${value.words.join(' ')})`
    case 'files':
      return ':file:_files'
    case 'directories':
      return ':directory:_files -/'
    case 'text':
      return ':value: '
  }
}

function escapeBrackets(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, '\\$&')
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
