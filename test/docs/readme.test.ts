import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { packageVersion } from '../../src/node/system/package-version.js'
import { readText } from '../project/support.js'
import { freePort } from '../support/ports.js'
import { type Block, type Document, readMarkdown } from './markdown.js'
import { commandsOf, DocumentSession, PAGE } from './session.js'

/** The port in the document; no test may rely on it. */
const DOCUMENTED_PORT = '10080'

describe('README.md', () => {
  let readme: Document
  let session: DocumentSession | undefined
  beforeAll(async () => {
    readme = readMarkdown(await readText('README.md'))
  })
  afterEach(async () => {
    await session?.close()
    session = undefined
  })

  function blocksUnder(heading: string): readonly Block[] {
    return readme.blocks.filter(({ headings }) => headings.includes(heading))
  }

  it.each(['Forward', 'Reverse', 'Agent', 'Autonomy'])('shows commands of mode %s that bring a page', async (mode) => {
    session = await DocumentSession.open()
    const commands = blocksUnder(mode)
      .filter(({ language }) => language === 'sh')
      .flatMap(commandsOf)
    expect(commands.length).toBeGreaterThanOrEqual(3)
    const answers: string[] = []
    for (const command of commands) answers.push(await session.run(command))
    expect(answers.filter((text) => text !== '')).toEqual([PAGE])
  })

  it('shows calls of the HTTP API with the answers they get', async () => {
    session = await DocumentSession.open()
    const port = String(await freePort())
    const local = (text: string): string =>
      text.replaceAll(DOCUMENTED_PORT, port).replace(/(?<="version": ")[^"]*/, packageVersion())
    let answer = ''
    let compared = 0
    for (const { language, text, line, ...rest } of blocksUnder('HTTP API')) {
      if (language === 'json') {
        expect(JSON.parse(answer), `line ${line}`).toEqual(JSON.parse(local(text)))
        compared++
      } else {
        answer = ''
        const commands = commandsOf({ language, text: local(text), line, ...rest })
        for (const command of commands) answer += await session.run(command)
      }
    }
    expect(compared).toBeGreaterThanOrEqual(5)
  })

  it('shows how to run it for real', async () => {
    session = await DocumentSession.open()
    const answers = new Map<string, string>()
    for (const block of blocksUnder('Running it for real')) {
      for (const command of commandsOf(block)) answers.set(command, await session.run(command))
    }
    const [added = '', listed = '', status = ''] = ['token add', 'token list', 'status'].map((name) =>
      [...answers].flatMap(([command, answer]) => (command.startsWith(`linksocks ${name}`) ? [answer] : [])).join(''),
    )
    const [id] = /\b[\da-f]{24}\b/.exec(added) ?? []
    expect(id).toBeDefined()
    expect(listed).toContain(id)
    expect(listed).toContain("Ada's laptop")
    expect(status).toContain(packageVersion())
  })
})
