import { describe, expect, it } from 'vitest'
import { Settings } from '../../../src/cli/settings/environment.js'
import { SECRET_FILE_LIMIT } from '../../../src/cli/settings/files.js'
import type { Flag } from '../../../src/cli/settings/flags.js'
import { parsePort, parseToken } from '../../../src/cli/settings/values.js'
import { temporaryFile } from '../harness.js'

const PORT: Flag = { flags: '-p, --port <port>', help: '', group: '', variable: 'LINKSOCKS_PORT' }
const TOKEN: Flag = { flags: '-t, --token <token>', help: '', group: '', variable: 'LINKSOCKS_TOKEN', secret: true }
const FILE: Flag = { flags: '--token-file <path>', help: '', group: '' }
const PROXY: Flag = { ...TOKEN, flags: '--proxy <url>', variable: 'LINKSOCKS_PROXY', optionalSecret: true }
const FAST: Flag = { flags: '--fast', help: '', group: '', variable: 'LINKSOCKS_FAST' }
const STAY: Flag = { flags: '-R, --no-stay', help: '', group: '' }

describe('Settings.value', () => {
  it('takes the flag before the variable', () => {
    const settings = new Settings({ port: '1' }, { LINKSOCKS_PORT: '2' })
    expect(settings.value(PORT, parsePort)).toBe(1)
    expect(settings.source(PORT)).toBe('--port')
  })

  it('takes the variable, blanks around it removed, when there is no flag', () => {
    const settings = new Settings({}, { LINKSOCKS_PORT: ' 2 ' })
    expect(settings.value(PORT, parsePort)).toBe(2)
    expect(settings.source(PORT)).toBe('LINKSOCKS_PORT')
    expect(settings.given(PORT)).toBe(false)
  })

  it.each([{}, { LINKSOCKS_PORT: '' }, { LINKSOCKS_PORT: ' ' }])(
    'is undefined with %o',
    (env: Record<string, string>) => {
      const settings = new Settings({}, env)
      expect(settings.value(PORT, parsePort)).toBeUndefined()
      expect(settings.source(PORT)).toBeUndefined()
    },
  )

  it('names the flag or variable in its errors', () => {
    expect(() => new Settings({ port: 'x' }, {}).value(PORT, parsePort)).toThrow(/^--port: must be a port/)
    expect(() => new Settings({}, { LINKSOCKS_PORT: 'x' }).value(PORT, parsePort)).toThrow(/^LINKSOCKS_PORT: must be/)
  })

  it('does not look at a wrong variable when there is a flag', () => {
    expect(new Settings({ port: '1' }, { LINKSOCKS_PORT: 'x' }).value(PORT, parsePort)).toBe(1)
  })
})

describe('Settings.enabled', () => {
  it.each([
    [{ fast: true }, {}, true],
    [{ fast: true }, { LINKSOCKS_FAST: 'false' }, true],
    [{}, { LINKSOCKS_FAST: 'true' }, true],
    [{}, { LINKSOCKS_FAST: '0' }, false],
    [{}, { LINKSOCKS_FAST: '' }, false],
    [{}, {}, false],
  ])('reads %o and %o as %s', (values, env: Record<string, string>, expected) => {
    expect(new Settings(values, env).enabled(FAST)).toBe(expected)
  })

  it('refuses another word in the variable', () => {
    expect(() => new Settings({}, { LINKSOCKS_FAST: 'maybe' }).enabled(FAST)).toThrow(/^LINKSOCKS_FAST: must be true/)
  })

  it('reads a --no- flag as enabled when it was given', () => {
    expect(new Settings({ stay: true }, {}).enabled(STAY)).toBe(false)
    expect(new Settings({ stay: false }, {}).enabled(STAY)).toBe(true)
  })
})

describe('Settings.secret', () => {
  const secret = (values: Record<string, unknown>, env: Record<string, string> = {}): Promise<string | undefined> =>
    new Settings(values, env).secret(TOKEN, parseToken, FILE)

  it('prefers flag, then file flag, then variable', async () => {
    const path = temporaryFile('from file')
    const env = { LINKSOCKS_TOKEN: 'from variable' }
    expect(await secret({ token: 'from flag' }, env)).toBe('from flag')
    expect(await secret({ tokenFile: path }, env)).toBe('from file')
    expect(await secret({}, env)).toBe('from variable')
    expect(await secret({}, { LINKSOCKS_TOKEN_FILE: path })).toBe('from file')
    expect(await secret({ token: 'from flag' }, { LINKSOCKS_TOKEN_FILE: '/does/not/exist' })).toBe('from flag')
    expect(await secret({})).toBeUndefined()
  })

  it('knows which of them sets it', () => {
    const source = (values: Record<string, unknown>, env: Record<string, string> = {}): string | undefined =>
      new Settings(values, env).source(TOKEN, FILE)
    expect(source({ token: 'a' })).toBe('--token')
    expect(source({ tokenFile: 'a' })).toBe('--token-file')
    expect(source({}, { LINKSOCKS_TOKEN: 'a' })).toBe('LINKSOCKS_TOKEN')
    expect(source({}, { LINKSOCKS_TOKEN_FILE: 'a' })).toBe('LINKSOCKS_TOKEN_FILE')
    expect(source({})).toBeUndefined()
  })

  it.each([
    [{ token: 'a', tokenFile: 'b' }, {}, '--token-file: cannot be combined with --token'],
    [
      {},
      { LINKSOCKS_TOKEN: 'a', LINKSOCKS_TOKEN_FILE: 'b' },
      'LINKSOCKS_TOKEN_FILE: cannot be combined with LINKSOCKS_TOKEN',
    ],
  ])('refuses two ways at once: %o %o', async (values, env, message) => {
    await expect(secret(values, env)).rejects.toThrow(message)
  })

  it.each([
    [{ token: '' }, {}, /^--token: must be 1 to 255 bytes/],
    [{ tokenFile: '' }, {}, /^--token-file: must not be empty/],
    [{}, { LINKSOCKS_TOKEN: '' }, /^LINKSOCKS_TOKEN: must be 1 to 255 bytes/],
    [{}, { LINKSOCKS_TOKEN_FILE: '' }, /^LINKSOCKS_TOKEN_FILE: must not be empty/],
  ])('refuses nothing as a secret: %o %o', async (values, env: Record<string, string>, message) => {
    await expect(secret(values, env)).rejects.toThrow(message)
  })

  it('takes an empty variable as not set where nothing is a meaningful value', async () => {
    expect(await new Settings({}, { LINKSOCKS_PROXY: '' }).secret(PROXY, parseToken)).toBeUndefined()
  })

  it.each([
    ['a line end is dropped', 'secret\n', 'secret'],
    ['a Windows line end is dropped', 'secret\r\n', 'secret'],
    ['only one is', 'secret\n\n', undefined],
    ['blanks stay', ' secret ', ' secret '],
    ['an empty file is refused', '', undefined],
    ['a lone line end is refused', '\n', undefined],
    ['a file at the limit is read, and then too long for a token', 'x'.repeat(SECRET_FILE_LIMIT), undefined],
    ['a file over the limit is refused', 'x'.repeat(SECRET_FILE_LIMIT + 1), undefined],
    ['bytes that are not UTF-8 are refused', Uint8Array.of(0x61, 0xff), undefined],
  ])('reads a file: %s', async (_name, content, expected) => {
    const reading = secret({ tokenFile: temporaryFile(content) })
    if (expected === undefined) await expect(reading).rejects.toThrow(/^--token-file: (must be|the file)/)
    else expect(await reading).toBe(expected)
  })

  it('names flag and cause of an unreadable file, never its content', async () => {
    await expect(secret({ tokenFile: '/does/not/exist' })).rejects.toThrow(
      '--token-file: cannot read the file (ENOENT)',
    )
    await expect(secret({}, { LINKSOCKS_TOKEN_FILE: '/' })).rejects.toThrow(
      'LINKSOCKS_TOKEN_FILE: cannot read the file (EISDIR)',
    )
    const bad = secret({ tokenFile: temporaryFile('hunter2\n\n') })
    await expect(bad).rejects.toThrow(/^((?!hunter2).)*$/)
  })

  it('lists every occurrence of a repeated flag, and the variable as one', async () => {
    const settings = new Settings({ token: ['a', 'b'] }, { LINKSOCKS_TOKEN: 'c' })
    expect(await settings.secrets(TOKEN, parseToken)).toEqual(['a', 'b'])
    expect(await new Settings({}, { LINKSOCKS_TOKEN: 'c,d' }).secrets(TOKEN, parseToken)).toEqual(['c,d'])
  })
})
