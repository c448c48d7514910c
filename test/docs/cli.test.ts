import { beforeAll, describe, expect, it } from 'vitest'
import {
  ADD_FLAGS,
  CHECK_FLAGS,
  LIST_FLAGS,
  REMOVE_FLAGS,
  SET_FLAGS,
  SHOW_FLAGS,
  STATUS_FLAGS,
  USAGE_FLAGS,
} from '../../src/cli/manage/manage-flags.js'
import { type ClientCommand, clientFlags } from '../../src/cli/settings/client-flags.js'
import { type Flag, longName } from '../../src/cli/settings/flags.js'
import { SERVER_FLAGS } from '../../src/cli/settings/server-flags.js'
import { readText } from '../project/support.js'
import { readMarkdown } from './markdown.js'
import { commandsOf, DocumentSession } from './session.js'

/** What the page calls every token. */
const SHOWN_ID = '0123456789abcdef01234567'

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

const MANAGE: readonly (readonly [string, readonly Flag[]])[] = [
  ['add', ADD_FLAGS],
  ['set', SET_FLAGS],
  ['check', CHECK_FLAGS],
  ['list', LIST_FLAGS],
  ['show', SHOW_FLAGS],
  ['usage', USAGE_FLAGS],
  ['rm', REMOVE_FLAGS],
  ['status', STATUS_FLAGS],
]

function manageRows(): readonly string[] {
  const all = new Map(MANAGE.flatMap(([, flags]) => flags).map((flag) => [longName(flag), flag]))
  return [...all].map(([name, flag]) => {
    const takers = MANAGE.filter(([, flags]) => flags.some((other) => longName(other) === name)).map(([taker]) => taker)
    return rowOf(flag, takers.length === MANAGE.length ? 'all' : takers.join(', '))
  })
}

/** Rows about flags below a heading. */
function rowsUnder(markdown: string, heading: string): readonly string[] {
  const section = markdown.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  return section.split('\n').filter((line) => line.startsWith('| `-'))
}

/** The answer with what differs from run to run as the page has it. */
function asShown(answer: string, id: string): string {
  const named = id === '' ? answer : answer.replaceAll(id, SHOWN_ID)
  return named
    .trimEnd()
    .replace(/^(token +)\S{4}…$/m, '$1k3Jx…')
    .replace(/^(?<name>since +)\S+Z$/m, '$<name>2026-01-31T12:00:00.000Z')
    .replace(/(?<= from 0 again at )\d{4}-\d\d-01T/, '2026-02-01T')
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

  it('lists the flags of the commands for running servers as the commands know them', () => {
    expect(rowsUnder(markdown, 'Running servers')).toEqual(manageRows())
  })

  it('names every variable', () => {
    const all = [...SERVER_FLAGS, ...clientFlags('client'), ...MANAGE.flatMap(([, flags]) => flags)].flatMap(
      ({ variable }) => variable ?? [],
    )
    for (const variable of [...all, 'LINKSOCKS_MODE']) expect(markdown).toContain(`\`${variable}\``)
  })

  it('shows policies with the answers they get', async () => {
    const blocks = readMarkdown(markdown).blocks.filter(({ headings }) => headings.includes('Policies'))
    const session = await DocumentSession.open()
    try {
      await session.run("printf '%s' key-of-the-test > api-key")
      await session.run('linksocks server --api-key-file ./api-key')
      await session.run('export LINKSOCKS_API_URL=http://relay.example.com:8765 LINKSOCKS_API_KEY_FILE=./api-key')
      let id = ''
      let answer = ''
      for (const block of blocks) {
        if (block.language !== 'sh') {
          expect(asShown(answer, id), `line ${block.line}`).toBe(block.text)
          continue
        }
        answer = ''
        for (const command of commandsOf(block)) answer += await session.run(command.replaceAll(SHOWN_ID, id))
        id ||= /\b[\da-f]{24}\b/.exec(answer)?.[0] ?? ''
      }
      expect(id).not.toBe('')
      expect(answer.trimEnd().split('\n').at(-1)).toMatch(/ no$/)
    } finally {
      await session.close()
    }
  })
})
