import { beforeAll, describe, expect, it } from 'vitest'
import { type ClientCommand, clientFlags } from '../../src/cli/client-flags.js'
import type { Flag } from '../../src/cli/flags.js'
import { SERVER_FLAGS } from '../../src/cli/server-flags.js'
import { readText } from '../project/support.js'

const COMMANDS: readonly ClientCommand[] = ['client', 'provider', 'connector']

function variablesOf({ variable, secret }: Flag): string {
  if (variable === undefined) return ''
  return secret === true ? `\`${variable}\`, \`${variable}_FILE\`` : `\`${variable}\``
}

/** The row of a table that describes `flag`. */
function rowOf(flag: Flag, ...more: readonly string[]): string {
  const cells = [`\`${flag.flags}\``, ...more, variablesOf(flag), flag.fallback ?? '', flag.help]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function clientRows(): readonly string[] {
  return clientFlags('client').flatMap((flag, index) => {
    if (flag.hidden === true) return []
    const shown = COMMANDS.filter((command) => clientFlags(command)[index]?.hidden !== true)
    return [rowOf(flag, shown.length === COMMANDS.length ? 'all' : shown.join(', '))]
  })
}

/** Rows about flags below a heading. */
function rowsUnder(markdown: string, heading: string): readonly string[] {
  const section = markdown.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  return section.split('\n').filter((line) => line.startsWith('| `-'))
}

describe('docs/cli.md', () => {
  let markdown: string
  beforeAll(async () => {
    markdown = await readText('docs/cli.md')
  })

  it('lists the flags of the server as the command knows them', () => {
    const rows = SERVER_FLAGS.filter(({ hidden }) => hidden !== true).map((flag) => rowOf(flag))
    expect(rowsUnder(markdown, 'Server')).toEqual(rows)
  })

  it('lists the flags of the clients as the commands know them', () => {
    expect(rowsUnder(markdown, 'Clients')).toEqual(clientRows())
  })

  it('names every variable', () => {
    const all = [...SERVER_FLAGS, ...clientFlags('client')].flatMap(({ variable }) => variable ?? [])
    for (const variable of [...all, 'LINKSOCKS_MODE']) expect(markdown).toContain(`\`${variable}\``)
  })
})
