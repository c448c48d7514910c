import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT, readText, repositoryFiles } from '../project/support.js'
import { anchorOf, type Document, readMarkdown } from './markdown.js'

/** Pages outside of the repository that documents may name. */
const PAGES = ['https://semver.org', 'https://keepachangelog.com/']

/** Targets of the links in a text. */
function linksOf({ prose }: Document): readonly string[] {
  return [...prose.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '')
}

function anchorsOf({ headings }: Document): readonly string[] {
  return headings.map(({ text }) => anchorOf(text))
}

/** Lines of a block without comments, which are translated. */
function codeOf(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.replace(/(^|\s)(#|\/\/) .*$/, '').trimEnd())
  return lines.filter((line) => line !== '')
}

describe('documents', () => {
  let documents: ReadonlyMap<string, Document>
  beforeAll(async () => {
    const names = (await repositoryFiles()).filter((name) => name.endsWith('.md'))
    documents = new Map(
      await Promise.all(names.map(async (name) => [name, readMarkdown(await readText(name))] as const)),
    )
    expect(documents.size).toBeGreaterThanOrEqual(9)
  })

  it('link only to files and headings that are there', () => {
    const broken: string[] = []
    for (const [name, document] of documents) {
      for (const link of linksOf(document)) {
        if (PAGES.some((page) => link.startsWith(page))) continue
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? name : join(dirname(name), path)
        const found = existsSync(join(ROOT, target))
        const anchors = anchorsOf(documents.get(target) ?? { blocks: [], headings: [], prose: '' })
        if (!found || (anchor !== undefined && !anchors.includes(anchor))) broken.push(`${name}: ${link}`)
      }
    }
    expect(broken).toEqual([])
  })

  it('of contributors name only files that are there', async () => {
    const files = await repositoryFiles()
    const missing: string[] = []
    for (const name of ['docs/architecture.md', 'docs/lifecycle.md', 'docs/limits.md', 'CONTRIBUTING.md']) {
      const text = await readText(name)
      const named = text.match(/(?<=`)(?:[\w-]+\/)+[\w*-]+(?:\.test)?\.(?:ts|mjs|json)(?=`)/g) ?? []
      expect(named.length, name).toBeGreaterThan(0)
      for (const path of named) {
        const pattern = new RegExp(`^(?:src/)?${path.replaceAll('.', '\\.').replaceAll('*', '[\\w-]*')}$`)
        if (!files.some((file) => pattern.test(file))) missing.push(`${name}: ${path}`)
      }
    }
    expect(missing).toEqual([])
  })

  it('show every picture there is', async () => {
    const shown = new Set(
      [...documents].flatMap(([name, document]) => linksOf(document).map((link) => join(dirname(name), link))),
    )
    const pictures = (await repositoryFiles()).filter((name) => name.startsWith('docs/images/'))
    expect(pictures.filter((name) => !shown.has(name))).toEqual([])
  })

  it('are the same in both languages but for the words', () => {
    const english = documents.get('README.md')
    const chinese = documents.get('README.zh-CN.md')
    expect(chinese?.headings.map(({ level }) => level)).toEqual(english?.headings.map(({ level }) => level))
    const code = (document: Document | undefined) =>
      document?.blocks.filter(({ language }) => language !== '').map(({ language, text }) => [language, codeOf(text)])
    expect(code(chinese)).toEqual(code(english))
    const files = (document: Document) => linksOf(document).filter((link) => !link.startsWith('#'))
    expect(chinese && files(chinese).slice(1)).toEqual(english && files(english).slice(1))
  })

  it('have every section of the protocol that the sources name', async () => {
    const sections = documents.get('docs/protocol.md')?.headings.map(({ text }) => text.split(' ')[0])
    const missing: string[] = []
    for (const name of (await repositoryFiles()).filter((file) => file.startsWith('src/'))) {
      const text = await readText(name)
      for (const [, named = ''] of text.matchAll(/docs\/protocol\.md ([AB]\.\d(?:, [AB]\.\d)*)/g)) {
        for (const section of named.split(', ')) if (!sections?.includes(section)) missing.push(`${name}: ${section}`)
      }
      // limits.ts names the document once
      for (const [, section = ''] of text.matchAll(/\(([AB]\.\d)\)/g)) {
        if (!sections?.includes(section)) missing.push(`${name}: ${section}`)
      }
    }
    expect(missing).toEqual([])
  })

  it('name only error codes that exist', async () => {
    const known = new Set((await readText('src/errors.ts')).match(/(?<=\| ')ERR_[A-Z_]+(?=')/g))
    for (const [name, { prose, blocks }] of documents) {
      const text = [prose, ...blocks.map((block) => block.text)].join('\n')
      // a name that ends in `*` stands for several
      for (const [code] of text.matchAll(/\bERR_[A-Z_]+\b(?!\*)/g)) expect(known, name).toContain(code)
    }
  })
})
