import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT, readText, run, tool } from '../project/support.js'
import { readMarkdown } from './markdown.js'

const PAGE = '<p>a page of the intranet</p>'
/** What the example dials, and what it is to reach here. */
const SITE = "'intranet.example.com', 80"

const TSCONFIG = {
  compilerOptions: {
    allowJs: true,
    checkJs: true,
    noEmit: true,
    strict: true,
    target: 'ES2023',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
  },
  include: ['*.mjs'],
}

describe('library examples of README.md', () => {
  let folder: string
  let site: Server
  let examples: readonly string[]
  beforeAll(async () => {
    site = createServer((_request, response) => response.end(PAGE)).listen(0, '127.0.0.1')
    await once(site, 'listening')
    const address = site.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { blocks } = readMarkdown(await readText('README.md'))
    examples = blocks
      .filter(({ language }) => language === 'js')
      .map(({ text }) => text.replace(SITE, `'127.0.0.1', ${port}`))
    // a project that has the package installed
    folder = await mkdtemp(join(tmpdir(), 'linksocks-library-'))
    await mkdir(join(folder, 'node_modules'))
    await symlink(ROOT, join(folder, 'node_modules/linksocks'), 'dir')
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG))
    for (const [index, text] of examples.entries()) await writeFile(join(folder, `${index}.mjs`), `${text}\n`)
  })
  afterAll(async () => {
    site.closeAllConnections()
    await new Promise((resolve) => site.close(resolve))
    await rm(folder, { recursive: true, force: true })
  })

  it('fit the types of the package', async () => {
    expect(examples).toHaveLength(2)
    expect(await run(tool('tsc'), ['-p', '.'], folder)).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('fetch a page by dial() and end by themselves', async () => {
    const { code, stdout, stderr } = await run(process.execPath, ['0.mjs'], folder)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/)
    expect(stdout).toContain(PAGE)
  })

  it('run agent mode, show the code of a failure and end by themselves', async () => {
    const { code, stdout, stderr } = await run(process.execPath, ['1.mjs'], folder)
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/^proxy port \d+\nERR_DIAL_REFUSED\n$/)
    expect(stderr).toMatch(/ info link\.up role=provider\n/)
  })
})
