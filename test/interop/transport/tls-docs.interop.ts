import { execFile } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, it } from 'vitest'
import { type Block, readMarkdown } from '../../docs/markdown.js'
import { readText } from '../../project/support.js'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import { REBINDING } from '../../support/e2e/rebinding-name.js'
import { type Scene, sceneOfTest } from '../../support/e2e/scene.js'
import { localCa } from '../support/local-ca.js'
import { describeWith } from '../support/programs/programs.js'
import { folderOf } from '../support/proxies/reverse-proxy.js'
import { expectInteractive } from '../support/transport-checks.js'

/** The ports of the document may be taken where nobody else is. */
const OWN_NETWORK = process.env.LINKSOCKS_INTEROP_ISOLATED === '1'
const HOST = 'relay.example.com'
const execute = promisify(execFile)
const scene = sceneOfTest()

let blocks: readonly Block[]
beforeAll(async () => {
  blocks = readMarkdown(await readText('docs/tls.md')).blocks.filter(({ language }) => language === 'sh')
})

/** Follows the document in a folder of its own, with a certificate for {@link HOST} in it. */
class Reader {
  readonly #scene: Scene
  readonly #folder: string
  readonly #env: Readonly<Record<string, string>>
  /** What the last command but those of LinkSocks printed. */
  #printed = ''

  private constructor(owner: Scene, folder: string, caFile: string) {
    this.#scene = owner
    this.#folder = folder
    this.#env = { ...REBINDING, REBINDING_NAME: HOST, NODE_EXTRA_CA_CERTS: caFile }
  }

  static async open(owner: Scene): Promise<Reader> {
    const folder = folderOf(owner)
    const ca = await localCa(owner, 'An authority that everybody trusts')
    const bundle = await ca.certificate({ names: [`DNS:${HOST}`] })
    for (const name of ['fullchain.pem', 'privkey.pem']) copyFileSync(bundle, join(folder, name))
    return new Reader(owner, folder, ca.file)
  }

  /** Runs the commands below a heading, one after the other, until a client has its proxy port. @returns that, where there is one */
  async follow(heading: string): Promise<number | undefined> {
    const below = blocks.filter(({ headings }) => headings.at(-1) === heading)
    let port: number | undefined
    for (const line of below.flatMap(({ text }) => text.split('\n'))) {
      if (line.startsWith('openssl ')) await this.#run(line)
      else if (line.startsWith('linksocks server ')) await this.#start(line).event('server.ready')
      else if (line.startsWith('linksocks client ')) {
        port = Number((await this.#start(`${line} -p 0`).event('socks.listening')).port)
      }
    }
    return port
  }

  async #run(line: string): Promise<void> {
    this.#printed = (await execute('sh', ['-c', line], { cwd: this.#folder })).stdout.trim()
  }

  #start(line: string): LinksocksProcess {
    const args = line
      .split(' ')
      .slice(1)
      .map((word) => this.#here(word))
    return this.#scene.start([...args, '--log-format', 'json'], { env: this.#env })
  }

  /** A word of a command as it is meant on this machine. */
  #here(word: string): string {
    if (/^[\w-]+\.(pem|key)$/.test(word)) return join(this.#folder, word)
    if (word === 'HASH') return this.#printed
    return word.replace('192.0.2.10', '127.0.0.1').replace('/run/', `${this.#folder}/`)
  }
}

describeWith(['openssl'], 'the commands of docs/tls.md', () => {
  it.skipIf(!OWN_NETWORK).each(['Certificate files', 'Several addresses'])('start a server: %s', async (heading) => {
    const reader = await Reader.open(scene)
    expect(await reader.follow(heading)).toBeUndefined()
  })

  it.skipIf(!OWN_NETWORK).each(['Client certificates', 'Pinned keys'])(
    'bring a client to its server: %s',
    async (heading) => {
      const reader = await Reader.open(scene)
      const port = await reader.follow(heading)
      expect(port).toBeGreaterThan(0)
      await expectInteractive(scene, port ?? 0)
    },
  )
})
