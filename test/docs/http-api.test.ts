import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client, Server } from '../../src/index.js'
import { packageVersion } from '../../src/node/package-version.js'
import { readText } from '../project/support.js'
import { type Block, readMarkdown } from './markdown.js'
import { freePort } from './session.js'
import { Shell } from './shell.js'

const KEY = 'key-of-the-test'
/** The port in the document; no test may rely on it. */
const DOCUMENTED_PORT = '10080'

interface Example {
  readonly command: Block
  readonly answer: Block
}

/** Each command with the block behind it, which is its answer. */
function examplesOf(blocks: readonly Block[]): readonly Example[] {
  return blocks.flatMap((command, index) => {
    const answer = blocks[index + 1]
    if (command.language !== 'sh' || !command.text.includes('$SERVER')) return []
    if (answer === undefined || answer.language === 'sh') throw new Error(`line ${command.line}: no answer is shown`)
    return [{ command, answer }]
  })
}

/** What a block means: data where it is JSON, else its text. */
function meaning(text: string): unknown {
  return /^\s*\{.*\}\s*$/s.test(text) ? JSON.parse(text) : text.trim()
}

describe('docs/http-api.md', () => {
  let examples: readonly Example[]
  let server: Server
  let shell: Shell
  const clients: Client[] = []
  let port = 0

  beforeAll(async () => {
    port = await freePort()
    examples = examplesOf(readMarkdown(await readText('docs/http-api.md')).blocks)
    server = new Server({ host: '127.0.0.1', port: 0, apiKey: KEY })
    const address = await server.listen()
    shell = await Shell.open({ SERVER: `http://127.0.0.1:${address.port}`, KEY })
  })
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await server.close()
    await shell.close()
  })

  async function connect(token: string, reverse: boolean): Promise<void> {
    const client = new Client({ url: `ws://127.0.0.1:${server.address?.port}`, token, reverse })
    clients.push(client)
    await client.start()
  }

  /** Runs one example and compares it with the document. */
  async function check({ command, answer }: Example): Promise<void> {
    const local = (text: string): string =>
      text.replaceAll(DOCUMENTED_PORT, String(port)).replace(/(?<![\d.])\d+\.\d+\.\d+(?![\d.])/g, packageVersion())
    const { code, stdout, stderr } = await shell.run(local(command.text))
    const where = `line ${command.line}: ${command.text}`
    expect({ code, stderr }, where).toEqual({ code: 0, stderr: '' })
    expect(meaning(stdout), where).toEqual(meaning(local(answer.text)))
  }

  const isStatus = ({ command }: Example): boolean => command.headings.includes('Status')

  it('shows the status as it is', async () => {
    await server.addToken({ type: 'forward', token: 'laptop' })
    await server.addToken({ type: 'reverse', token: 'office', port })
    await server.addToken({ type: 'connector', token: 'guest', reverseToken: 'office' })
    await Promise.all([connect('laptop', false), connect('laptop', false), connect('office', true)])
    await expect.poll(() => server.tokens()[1]).toMatchObject({ listening: true })

    const shown = examples.filter(isStatus)
    expect(shown).toHaveLength(1)
    for (const example of shown) await check(example)

    for (const token of ['laptop', 'office']) await server.removeToken(token)
  })

  it('shows every other call with the answer it gets', async () => {
    const others = examples.filter((example) => !isStatus(example))
    expect(others.length).toBeGreaterThanOrEqual(7)
    for (const example of others) await check(example)
    // what the calls left behind
    expect(server.tokens().map(({ token, type }) => `${type} ${token}`)).toEqual(['forward laptop', 'reverse homes'])
  })
})
