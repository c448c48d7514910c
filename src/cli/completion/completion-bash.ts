import { allCommands, type Completed, type CompletedCommand } from './completion-tree.js'

/** For bash 3.2 and later, without the package bash-completion. */
export function bashScript(program: CompletedCommand): string {
  const commands = allCommands(program)
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => `'${parentOf(path)}${path}'`)
  return `# bash completion of linksocks: eval "$(linksocks completion bash)"
_linksocks() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} path= words= word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path/\${path:+$path }\${COMP_WORDS[i]}" in
      ${paths.join(' | ')}) path=\${path:+$path }\${COMP_WORDS[i]} ;;
    esac
  done
  # --flag=value is three words
  if [[ $cur == '=' ]]; then
    cur=
  elif [[ $prev == '=' ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case "$path/$prev" in
${commands.flatMap(valueCases).join('\n')}
  esac
  case "$path" in
${commands.map(wordCase).join('\n')}
  esac
  _linksocks_reply -W "$words"
}
_linksocks_reply() {
  local word
  while IFS= read -r word; do
    COMPREPLY+=("$word")
  done < <(compgen "$@" -- "$cur")
}
complete -F _linksocks linksocks
`
}

/** With a slash behind it; a path begins anew behind its own parent. */
function parentOf(path: string): string {
  return `${path.split(' ').slice(0, -1).join(' ')}/`
}

/** What stands behind each kind of flag of one command. */
function valueCases({ path, flags }: CompletedCommand): readonly string[] {
  const byAction = new Map<string, string[]>()
  for (const { names, value } of flags) {
    if (value === undefined) continue
    const action = actionOf(value)
    byAction.set(action, [...(byAction.get(action) ?? []), ...names.map((name) => `'${path}/${name}'`)])
  }
  return [...byAction].map(([action, patterns]) => `    ${patterns.join(' | ')}) ${action}return ;;`)
}

function actionOf(value: Completed): string {
  switch (value.kind) {
    case 'words':
      return `_linksocks_reply -W '${value.words.join(' ')}'; `
    case 'files':
      return 'compopt -o filenames 2>/dev/null; _linksocks_reply -f; '
    case 'directories':
      return 'compopt -o filenames 2>/dev/null; _linksocks_reply -d; '
    case 'text':
      return ''
  }
}

/** Commands or words where there are some, else flags; flags behind a hyphen. */
function wordCase({ path, commands, flags, words }: CompletedCommand): string {
  const own = [...commands.map(({ name }) => name), ...words].join(' ')
  const all = flags.map(({ names }) => names.at(-1)).join(' ')
  const choose = own === '' ? `words='${all}'` : `words='${own}'; [[ $cur == -* ]] && words='${all}'`
  return `    '${path}') ${choose} ;;`
}
