import { describe, expect, it } from 'vitest'
import { KEYS_FILE_LIMIT } from '../../src/cli/settings/files.js'
import type { ServerOptions } from '../../src/node/options.js'
import { run, temporaryFile } from './harness.js'

type Env = Record<string, string>
type Case = readonly [argv: string[], env: Env, expected: Partial<ServerOptions>]

const HEX = '0123456789abcdef'.repeat(4)
const BASE64 = Buffer.alloc(32, 7).toString('base64')
const T = ['-t', 'tok']
const ann = { name: 'ann', role: 'full', key: 'key-a' } as const
const bob = { name: 'bob', role: 'read-only', key: 'key:b' } as const

async function optionsOf(argv: readonly string[], env: Env = {}): Promise<ServerOptions> {
  const { code, fake, io } = await run(['server', ...argv], env)
  expect(io.err, argv.join(' ')).not.toContain('linksocks:')
  expect(code).toBe(0)
  return fake.server ?? {}
}

async function noticesOf(argv: readonly string[], env: Env = {}): Promise<string> {
  return (await run(['server', ...argv], env)).io.err
}

const OPTIONS: readonly Case[] = [
  [
    ['--named-api-key', 'ann:full:key-a', '--named-api-key', 'bob:read-only:key:b'],
    {},
    { apiKey: undefined, apiKeys: [ann, bob] },
  ],
  [['-k', 'k', '--named-api-key', 'ann:full:a,b'], {}, { apiKey: 'k', apiKeys: [{ ...ann, key: 'a,b' }] }],
  [[], { LINKSOCKS_NAMED_API_KEYS: 'ann:full:key-a, bob:read-only:key:b' }, { apiKeys: [ann, bob] }],
  [[], { LINKSOCKS_NAMED_API_KEYS: 'ann:full:key-a\n\nbob:read-only:key:b\n' }, { apiKeys: [ann, bob] }],
  [['--named-api-key', 'ann:full:key-a'], { LINKSOCKS_NAMED_API_KEYS: 'bob:read-only:key:b' }, { apiKeys: [ann] }],
  [['--data-dir', './data'], {}, { dataDir: './data', dataKey: undefined }],
  [[], { LINKSOCKS_DATA_DIR: '/d' }, { dataDir: '/d' }],
  [['--data-dir', 'd'], { LINKSOCKS_DATA_KEY: HEX }, { dataDir: 'd', dataKey: HEX }],
  [['--data-dir', 'd'], { LINKSOCKS_DATA_KEY: BASE64 }, { dataKey: BASE64 }],
  [['--data-dir', 'd'], { LINKSOCKS_DATA_KEY: BASE64.replace('=', '') }, { dataKey: BASE64.replace('=', '') }],
  [[], { LINKSOCKS_DATA_KEY: HEX }, { dataDir: undefined, dataKey: undefined }],
  [['--metrics-key', 'm'], {}, { metricsKey: 'm' }],
  [[], { LINKSOCKS_METRICS_KEY: 'm' }, { metricsKey: 'm' }],
  [['--metrics-listen', '127.0.0.1:9100'], {}, { metricsListen: { host: '127.0.0.1', port: 9100 } }],
  [[], { LINKSOCKS_METRICS_LISTEN: '[::1]:0' }, { metricsListen: { host: '::1', port: 0 } }],
]

describe("the API's flags of linksocks server", () => {
  it.each(OPTIONS)('%j with %j ask the library for %j', async (argv, env, expected) => {
    expect(await optionsOf([...T, ...argv], env)).toMatchObject(expected)
  })

  it('take secrets from files', async () => {
    const keys = temporaryFile('# operators\nann:full:key-a\r\n\n  bob:read-only:key:b\n')
    const key = temporaryFile(`${HEX}\n`)
    const metrics = temporaryFile('m\n')
    const expected = { apiKeys: [ann, bob], dataKey: HEX, metricsKey: 'm' }
    const flags = ['--api-keys-file', keys, '--data-dir', 'd', '--data-key-file', key, '--metrics-key-file', metrics]
    expect(await optionsOf(flags)).toMatchObject(expected)
    const env = {
      LINKSOCKS_NAMED_API_KEYS_FILE: keys,
      LINKSOCKS_DATA_DIR: 'd',
      LINKSOCKS_DATA_KEY_FILE: key,
      LINKSOCKS_METRICS_KEY_FILE: metrics,
    }
    expect(await optionsOf([], env)).toMatchObject(expected)
  })

  it('count a named key as an API key: no token is generated', async () => {
    const { io, fake } = await run(['server', '--named-api-key', 'ann:read-only:key-a'])
    expect(fake.server?.tokens).toEqual([])
    expect(io.err).not.toContain('token.generated')
    expect(io.err).toContain('info server.ready address=0.0.0.0:8765 api=true')
  })
})

const WRITTEN = 'a key is written NAME:ROLE:KEY, with full or read-only as ROLE'
const REFUSALS: readonly (readonly [argv: string[], env: Env, line: string])[] = [
  [['--named-api-key', 'hunter2'], {}, `--named-api-key: ${WRITTEN}`],
  [['--named-api-key', 'ann:admin:hunter2'], {}, `--named-api-key: ${WRITTEN}`],
  [['--named-api-key', 'ann:full:'], {}, "--named-api-key: the key of 'ann' must not be empty"],
  [['--named-api-key', 'a b:full:hunter2'], {}, '--named-api-key: the name of key 1 must be 1 to 64 of '],
  [['--named-api-key', `${'a'.repeat(65)}:full:hunter2`], {}, '--named-api-key: the name of key 1 must be 1 to 64 of '],
  [['--named-api-key', 'ann:full: hunter2'], {}, "--named-api-key: the key of 'ann' must be 1 to 1024 ASCII"],
  [
    ['--named-api-key', 'ann:full:hunter2', '--named-api-key', 'ann:full:hunter3'],
    {},
    "--named-api-key: two keys have the name 'ann'",
  ],
  [
    ['--named-api-key', 'ann:full:hunter2', '--named-api-key', 'bob:full:hunter2'],
    {},
    "--named-api-key: 'ann' and 'bob' have the same key: each needs its own",
  ],
  [['-k', 'hunter2', '--named-api-key', 'default:full:x'], {}, "--named-api-key: two keys have the name 'default'"],
  [['-k', 'hunter2', '--named-api-key', 'ann:full:hunter2'], {}, "--named-api-key: 'default' and 'ann' have the same"],
  [[], { LINKSOCKS_NAMED_API_KEYS: '\n' }, 'LINKSOCKS_NAMED_API_KEYS: names no key'],
  [[], { LINKSOCKS_NAMED_API_KEYS: 'ann:hunter2' }, `LINKSOCKS_NAMED_API_KEYS: ${WRITTEN}`],
  [
    ['--named-api-key', 'ann:full:k', '--api-keys-file', '/x'],
    {},
    '--api-keys-file: cannot be combined with --named-api-key',
  ],
  [['--api-keys-file', '/does/not/exist'], {}, '--api-keys-file: cannot read the file (ENOENT)'],
  [['--data-dir', ''], {}, '--data-dir: must not be empty'],
  [['--data-dir', 'd'], { LINKSOCKS_DATA_KEY: 'hunter2' }, 'LINKSOCKS_DATA_KEY: the key must be 32 bytes as 64 hex'],
  [['--data-key', HEX], {}, '--data-key: unknown flag'],
  [['--metrics-key', ''], {}, '--metrics-key: must be 1 to 1024 ASCII'],
  [['--metrics-listen', '9100'], {}, '--metrics-listen: must be HOST:PORT such as 127.0.0.1:9100'],
  [['--metrics-listen', ':9100'], {}, '--metrics-listen: must be HOST:PORT such as 127.0.0.1:9100'],
  [['--metrics-listen', '::1:99999'], {}, '--metrics-listen: must be HOST:PORT'],
  [['--metrics-listen', 'a:99999'], {}, "--metrics-listen: must be a port from 0 to 65535, not '99999'"],
]

describe("refusals of the API's flags", () => {
  it.each(REFUSALS)('%j with %j is a usage error', async (argv, env, line) => {
    const { code, io, fake } = await run(['server', ...argv], env)
    expect([code, io.lines.length, fake.calls.length]).toEqual([2, 1, 0])
    expect(io.err).toContain(`linksocks: ${line}`)
    expect(io.err).not.toMatch(/hunter\d/)
  })

  it('take a file of keys up to its limit', async () => {
    const line = 'ann:full:hunter2\n'
    const atLimit = `${line}${'#'.repeat(KEYS_FILE_LIMIT - line.length)}`
    expect((await run(['server', '--api-keys-file', temporaryFile(atLimit)])).code).toBe(0)
    const { code, io } = await run(['server', '--api-keys-file', temporaryFile(`${atLimit}#`)])
    expect(code).toBe(2)
    expect(io.err).toBe(`linksocks: --api-keys-file: the file is larger than ${KEYS_FILE_LIMIT} bytes\n`)
  })

  it('name the line of the file, and no key', async () => {
    const { code, io } = await run(['server', '--api-keys-file', temporaryFile('ann:full:a\n# b\nbob:hunter2\n')])
    expect(code).toBe(2)
    expect(io.err).toBe(`linksocks: --api-keys-file: line 3: ${WRITTEN}\n`)
  })
})

describe("notices of the API's flags", () => {
  const NOT_KEPT = 'info tokens.not-kept '

  it('say that tokens are kept in memory only, and the flag that keeps them', async () => {
    for (const argv of [
      ['-k', 'key'],
      ['--named-api-key', 'ann:full:key', '-t', 'tok'],
    ]) {
      const text = await noticesOf(argv)
      expect(text).toContain(NOT_KEPT)
      expect(text).toMatch(/memory only.*--data-dir/)
    }
  })

  it('say nothing of it with --data-dir, or without an API', async () => {
    expect(await noticesOf(['-k', 'key', '--data-dir', 'd'])).not.toContain(NOT_KEPT)
    expect(await noticesOf(T)).not.toContain(NOT_KEPT)
  })

  it('say what has no effect', async () => {
    expect(await noticesOf([...T, '--data-dir', 'd'])).toContain('warn option.ignored option=--data-dir ')
    const key = temporaryFile(HEX)
    expect(await noticesOf([...T, '--data-key-file', key])).toContain('warn option.ignored option=--data-key-file ')
  })

  it('carry no secret', async () => {
    const argv = [
      'server',
      '-dd',
      '-k',
      'my-key',
      '--named-api-key',
      'ann:full:my-other',
      '--metrics-key',
      'my-metrics',
    ]
    const { io } = await run(argv, { LINKSOCKS_DATA_DIR: 'd', LINKSOCKS_DATA_KEY: HEX })
    expect(io.err).not.toMatch(/my-|0123456789abcdef/)
  })
})
