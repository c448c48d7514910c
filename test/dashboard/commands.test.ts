import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  commandLine,
  isLoopback,
  programOf,
  proxyCommands,
  quotePosix,
  quotePowerShell,
  relayUrl,
  servesAll,
} from '../../dashboard/src/commands.js'

const URL_TEXT = 'wss://relay.example.com'
/** Tokens that a shell could take apart; line ends can't occur in a token. */
const TRICKY = [
  'plain',
  "it's",
  "''",
  "'; rm -rf ~; '",
  '"double"',
  '$HOME $(id) $1',
  '`id`',
  '-leading',
  '--help',
  'back\\slash\\',
  '!history !!',
  '* ? [a] {a,b} ~',
  'a b  c',
  '# no comment',
  '& | ; < > ( )',
  '%PATH% ^',
  'ünï¢ødé 令牌 🧦',
  '\u2018curly\u2019 \u201alow\u201b',
]
const SHELLS = ['sh', 'bash', 'dash', 'zsh', 'ksh', 'busybox'].filter((name) =>
  ['/bin', '/usr/bin'].some((folder) => existsSync(`${folder}/${name}`)),
)
/** Stands in for the command: shows what the variable and the arguments came to. */
const STAND_IN = `linksocks() { printf '%s\\n' "$LINKSOCKS_TOKEN" "$@"; }\n`

function run(shell: string, script: string): string {
  const args = shell === 'busybox' ? ['sh', '-s'] : ['-s']
  return execFileSync(shell, args, { input: script, encoding: 'utf8' })
}

/** The lines that each of `commands` writes; one start of the shell does for all. */
function linesOfEach(shell: string, commands: readonly string[]): readonly (readonly string[])[] {
  const script = commands.map((command) => `(\n${command}\n)\nprintf '\\0'\n`).join('')
  return run(shell, `${STAND_IN}${script}`)
    .split('\0')
    .map((text) => text.split('\n').slice(0, -1))
}

/** What PowerShell's tokenizer makes of a single-quoted string: two quotes in a row are one, of whichever kind. */
function readPowerShell(text: string): { readonly value: string; readonly rest: string } {
  const quotes = "'\u2018\u2019\u201a\u201b"
  if (!quotes.includes(text.charAt(0))) throw new Error('no string')
  let value = ''
  for (let at = 1; at < text.length; at++) {
    const character = text.charAt(at)
    if (!quotes.includes(character)) value += character
    else if (quotes.includes(text.charAt(at + 1)) && at + 1 < text.length) value += text.charAt(++at)
    else return { value, rest: text.slice(at + 1) }
  }
  throw new Error('string without end')
}

describe('commandLine()', () => {
  it('finds shells to try it in', () => {
    expect(SHELLS).toContain('sh')
  })

  describe.each(SHELLS)('in %s', (shell) => {
    let lines: readonly (readonly string[])[] = []
    beforeAll(() => {
      lines = linesOfEach(
        shell,
        TRICKY.map((token) => commandLine('posix', 'client', URL_TEXT, token)),
      )
    })

    it.each([...TRICKY.entries()])('hands on token %i: %s', (index, token) => {
      expect(lines[index]).toEqual([token, 'client', '-u', URL_TEXT])
    })
  })

  it('keeps the token from the arguments', () => {
    const token = 'c9d1e0f7'
    for (const shell of ['posix', 'powershell'] as const) {
      const [, args] = commandLine(shell, 'provider', URL_TEXT, token).split('linksocks ')
      expect(args).not.toContain(token)
    }
  })

  it('writes a line for PowerShell', () => {
    expect(commandLine('powershell', 'connector', URL_TEXT, "it's")).toBe(
      "$env:LINKSOCKS_TOKEN = 'it''s'; linksocks connector -u 'wss://relay.example.com'",
    )
  })

  it.each(TRICKY)('hands on the token %s to PowerShell', (token) => {
    const { value, rest } = readPowerShell(
      commandLine('powershell', 'client', URL_TEXT, token).slice('$env:LINKSOCKS_TOKEN = '.length),
    )
    expect(value).toBe(token)
    expect(rest).toBe(`; linksocks client -u '${URL_TEXT}'`)
  })

  it('names the command for each type of token', () => {
    expect([programOf('forward'), programOf('reverse'), programOf('connector')]).toEqual([
      'client',
      'provider',
      'connector',
    ])
  })
})

describe('proxyCommands()', () => {
  const port = {
    host: 'relay.example.com',
    port: 10_000,
    protocols: ['socks5', 'socks4', 'http'],
    username: null,
  } as const

  it('writes a line for each protocol, by which the far end looks names up', () => {
    expect(proxyCommands('posix', port)).toEqual([
      "curl -x 'socks5h://relay.example.com:10000' https://example.com/",
      "curl -x 'socks4a://relay.example.com:10000' https://example.com/",
      "curl -x 'http://relay.example.com:10000' https://example.com/",
    ])
    expect(proxyCommands('posix', { ...port, host: '[::1]', protocols: ['http'] })).toEqual([
      "curl -x 'http://[::1]:10000' https://example.com/",
    ])
    expect(proxyCommands('posix', { ...port, protocols: [] })).toEqual([])
  })

  it('knows a port that serves all', () => {
    expect([servesAll(port.protocols), servesAll(['http', 'socks5']), servesAll([])]).toEqual([true, false, false])
  })

  it('names the user where the port asks for one, but by SOCKS4, which has no password', () => {
    expect(proxyCommands('posix', { ...port, username: "it's" })).toEqual([
      "curl -x 'socks5h://relay.example.com:10000' -U 'it'\\''s' https://example.com/",
      "curl -x 'http://relay.example.com:10000' -U 'it'\\''s' https://example.com/",
    ])
    expect(proxyCommands('powershell', { ...port, protocols: ['http'], username: "it's" })).toEqual([
      "curl.exe -x 'http://relay.example.com:10000' -U 'it''s' https://example.com/",
    ])
  })
})

describe('quoting', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', "'", '"', '$', '`', '\\', '-', ' ', '\u2018', '\u2019', '\u201a', '\u201b', '令'),
  })

  it('gives sh back any text', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 20, maxLength: 20 }), (texts) => {
        const words = texts.map(quotePosix).join(' ')
        expect(run('sh', `printf '%s\\n' ${words}\n`)).toBe(`${texts.join('\n')}\n`)
      }),
      { numRuns: 10 },
    )
  })

  it('gives PowerShell back any text', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(readPowerShell(quotePowerShell(value))).toEqual({ value, rest: '' })
      }),
    )
  })
})

describe('isLoopback()', () => {
  it.each(['localhost', 'relay.localhost', '127.0.0.1', '127.1.2.3', '[::1]'])('knows %s', (name) => {
    expect(isLoopback(name)).toBe(true)
  })

  it.each(['relay.example.com', '127.example.com', 'localhost.example.com', '10.0.0.1', '[::2]', 'mylocalhost'])(
    'leaves %s alone',
    (name) => {
      expect(isLoopback(name)).toBe(false)
    },
  )
})

describe('relayUrl()', () => {
  it.each([
    ['http:', 'localhost:8765', '/dashboard/', 'ws://localhost:8765'],
    ['https:', 'relay.example.com', '/dashboard/', 'wss://relay.example.com'],
    ['https:', 'relay.example.com:8443', '/dashboard/', 'wss://relay.example.com:8443'],
    ['https:', '[2001:db8::1]:8443', '/dashboard/', 'wss://[2001:db8::1]:8443'],
    ['https:', 'example.com', '/relay/dashboard/', 'wss://example.com/relay/socket'],
    ['https:', 'example.com', '/a/dashboard/b/dashboard/', 'wss://example.com/a/dashboard/b/socket'],
  ])('%s//%s%s is for clients %s', (protocol, host, pathname, expected) => {
    expect(relayUrl({ protocol, host, pathname })).toBe(expected)
  })
})
