/** A fenced block of a document. */
export interface Block {
  /** What stands behind the opening fence. */
  readonly language: string
  readonly text: string
  /** Of the opening fence, from 1. */
  readonly line: number
  /** Headings above it, outermost first. */
  readonly headings: readonly string[]
}

interface Heading {
  readonly level: number
  readonly text: string
}

export interface Document {
  readonly blocks: readonly Block[]
  readonly headings: readonly Heading[]
  /** The text outside of fenced blocks. */
  readonly prose: string
}

/** Splits a document into headings, fenced blocks and the rest. */
export function readMarkdown(markdown: string): Document {
  const blocks: Block[] = []
  const headings: Heading[] = []
  const prose: string[] = []
  let path: readonly Heading[] = []
  let open: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)\s*$/.exec(line)
    if (fence !== null && open === undefined) open = { language: fence[1] ?? '', line: index + 1, lines: [] }
    else if (fence !== null && open !== undefined) {
      blocks.push({ ...open, text: open.lines.join('\n'), headings: path.map(({ text }) => text) })
      open = undefined
    } else if (open !== undefined) open.lines.push(line)
    else {
      prose.push(line)
      const heading = headingOf(line)
      if (heading === undefined) continue
      headings.push(heading)
      path = [...path.filter(({ level }) => level < heading.level), heading]
    }
  }
  if (open !== undefined) throw new Error(`the block that begins at line ${open.line} has no end`)
  return { blocks, headings, prose: prose.join('\n') }
}

function headingOf(line: string): Heading | undefined {
  const [, marks, text] = /^(#{1,6}) (.+)$/.exec(line) ?? []
  return marks === undefined || text === undefined ? undefined : { level: marks.length, text }
}

/** The anchor that renderers give to a heading. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}
