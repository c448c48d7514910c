import { allCommands, type CompletedCommand, type CompletedFlag } from './completion-tree.js'

/** For fish 3 and later. */
export function fishScript(program: CompletedCommand): string {
  const commands = allCommands(program)
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => quote(` ${path}`))
  return `# fish completion of linksocks: linksocks completion fish > ~/.config/fish/completions/linksocks.fish
function __linksocks_at
    set -l path
    for word in (commandline -opc)[2..-1]
        if contains -- "$path $word" ${paths.join(' ')}
            set path "$path $word"
        end
    end
    test "$path" = "$argv[1]"
end
complete -c linksocks -f
${commands.flatMap(linesOf).join('\n')}
`
}

function linesOf({ path, commands, flags, words }: CompletedCommand): readonly string[] {
  const start = `complete -c linksocks -n ${quote(`__linksocks_at ${quote(path === '' ? '' : ` ${path}`)}`)}`
  return [
    ...commands.map(({ name, help }) => `${start} -a ${name} -d ${quote(help)}`),
    ...(words.length === 0 ? [] : [`${start} -a ${quote(words.join(' '))}`]),
    ...flags.map((flag) => `${start} ${flagText(flag)}`),
  ]
}

function flagText({ names, help, value }: CompletedFlag): string {
  const parts = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
  switch (value?.kind) {
    case 'words':
      parts.push(`-x -a ${quote(value.words.join(' '))}`)
      break
    case 'files':
      parts.push('-r -F')
      break
    case 'directories':
      parts.push(`-x -a '(__fish_complete_directories)'`)
      break
    case 'text':
      parts.push('-x')
      break
    case undefined:
  }
  return `${parts.join(' ')} -d ${quote(help)}`
}

/** Within single quotes fish knows two escapes. */
function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`
}
