import { basename, dirname } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { CORE, isFile } from './layer-order.js'
import { readText, repositoryFiles } from './support.js'

/** Lines of a source file at which it is a place to look: whether it has two jobs, or stands below with the reason. */
const MAX_SOURCE_LINES = 400
/** Source files that are longer, each with the reason. */
const LONGER: Readonly<Record<string, string>> = {}
/** Source files that may hold a cast through `unknown`, each with the reason. */
const CASTS: Readonly<Record<string, string>> = {
  'src/node/net/end-of-input.ts': 'two internals of a socket tell a reset from an end, and have no type',
  'src/node/http-proxy/upgrade-request.ts': 'an answer writes to any Duplex, and its type wants a socket of TCP',
  'src/node/net/socket-reader.ts': 'what lies below `onread` has no type for sockets that are there already',
}

/** Names that more than one source file has: each layer that has one means its own. */
const SAME_NAMES = ['client.ts', 'clients.ts', 'server.ts', 'streams.ts', 'tokens.ts']
/** Files of one folder of `src` or `test`: beyond that a listing is not read any more. */
const MAX_FILES_OF_FOLDER = 24

const BINARY = /\.(png|ico|gz|bin|woff2?)$/

/** Where a pattern stands: `file:line text`. */
function places(files: ReadonlyMap<string, string>, pattern: RegExp): readonly string[] {
  const found: string[] = []
  for (const [name, text] of files) {
    for (const [index, line] of text.split('\n').entries()) {
      if (pattern.test(line)) found.push(`${name}:${index + 1} ${line.trim()}`)
    }
  }
  return found
}

function under(files: ReadonlyMap<string, string>, ...folders: readonly string[]): ReadonlyMap<string, string> {
  return new Map([...files].filter(([name]) => folders.some((folder) => name.startsWith(folder))))
}

function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

describe('repository text', () => {
  let files: ReadonlyMap<string, string>
  let source: ReadonlyMap<string, string>
  let core: ReadonlyMap<string, string>
  beforeAll(async () => {
    const names = (await repositoryFiles()).filter((name) => !BINARY.test(name))
    files = new Map(await Promise.all(names.map(async (name) => [name, await readText(name)] as const)))
    source = under(files, 'src/')
    core = under(files, ...CORE.map((layer) => (isFile(layer) ? `src/${layer}.ts` : `src/${layer}/`)))
    expect(source.size).toBeGreaterThan(0)
    expect(core.size).toBeGreaterThan(0)
  })

  it('names no path of one machine', () => {
    expect(places(files, /(^|[^\w.])\/(work|tmp|root|home)\/\w/)).toEqual([])
  })

  it('names no package registry host', () => {
    expect(places(files, /\/\/registry\.|\bregistry\.[a-z]+js\b|^\s*"resolved":/)).toEqual([])
  })

  it('puts nothing off', () => {
    expect(places(files, /\bTO(?:DO)\b|\bFIX(?:ME)\b|\bXX(?:X)\b/)).toEqual([])
  })

  it('leaves no test out', () => {
    expect(places(under(files, 'test/'), /\b(?:it|test|describe)\.(?:only|skip|todo|fails)\b/)).toEqual([])
  })

  it('keeps source files short', () => {
    const long = [...source].filter(([name, text]) => lineCount(text) > MAX_SOURCE_LINES && !(name in LONGER))
    expect(long.map(([name, text]) => `${name} ${lineCount(text)}`)).toEqual([])
  })

  it('gives every source file a name of its own', () => {
    const bases = [...source.keys()].map((name) => basename(name))
    const twice = bases.filter((name, index) => bases.indexOf(name) !== index)
    expect(twice.filter((name) => !SAME_NAMES.includes(name))).toEqual([])
  })

  it('keeps folders short', () => {
    const sizes = new Map<string, number>()
    for (const name of under(files, 'src/', 'test/').keys()) {
      sizes.set(dirname(name), (sizes.get(dirname(name)) ?? 0) + 1)
    }
    expect([...sizes].filter(([, count]) => count > MAX_FILES_OF_FOLDER)).toEqual([])
  })

  it('switches no check off in sources, but for control characters in a pattern that looks for them', () => {
    expect(
      places(
        source,
        /@ts-(?:ignore|nocheck|expect-error)|biome-ignore(?! lint\/suspicious\/noControlCharactersInRegex: )|(?:eslint|knip)-(?:disable|ignore)/,
      ),
    ).toEqual([])
  })

  it('casts to and through nothing that fits everything', () => {
    const judged = new Map([...source].filter(([name]) => !(name in CASTS)))
    expect(places(judged, /\bas (?:any|never)\b|\bas unknown as\b/)).toEqual([])
  })

  it('imports dynamically only with `await` and a literal, which is what the layer rule sees', () => {
    expect(places(source, /(?<!await )\bimport\(|\bimport\((?!')/)).toEqual([])
    expect(places(core, /\bimport\(/)).toEqual([])
  })

  it('imports messages of the wire from protocol/messages.ts alone, but inside protocol', () => {
    expect(places(files, /\/protocol\/(?:decode|encode|message-types)\.js'/)).toEqual([])
  })

  it('takes no randomness in core but from its port', () => {
    expect(places(core, /\bMath\.random\b/)).toEqual([])
  })

  it('ends every file with one line feed and every line without blanks', () => {
    const ragged = [...files].filter(([, text]) => text !== '' && !/[^\n]\n$/.test(text))
    expect(ragged.map(([name]) => name)).toEqual([])
    expect(places(files, /[ \t\r]$/)).toEqual([])
  })
})
