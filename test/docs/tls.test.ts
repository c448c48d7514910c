import { beforeAll, describe, expect, it } from 'vitest'
import { readText } from '../project/support.js'
import { type Document, readMarkdown } from './markdown.js'

/** Code without what it says to its reader. */
const codeOf = ({ blocks }: Document) =>
  blocks.map(({ language, text }) => [language, text.replace(/^(#|\/\/) .*$/gm, '')])

describe('docs/tls.md and docs/zh/tls.md', () => {
  let english: Document
  let chinese: Document
  beforeAll(async () => {
    english = readMarkdown(await readText('docs/tls.md'))
    chinese = readMarkdown(await readText('docs/zh/tls.md'))
  })

  it('are the same but for the words', () => {
    expect(codeOf(chinese)).toEqual(codeOf(english))
    expect(chinese.headings.map(({ level }) => level)).toEqual(english.headings.map(({ level }) => level))
    const rows = ({ prose }: Document): number => (prose.match(/^\|/gm) ?? []).length
    expect(rows(chinese)).toBe(rows(english))
  })
})
