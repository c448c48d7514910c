import { describe, expect, it } from 'vitest'
import type { ServerOptions } from '../../src/node/options.js'
import type { TokenSpec } from '../../src/relay/tokens/token-spec.js'
import { type Run, run, temporaryFile } from './harness.js'

type Env = Record<string, string>

async function serverOf(argv: readonly string[], env: Env = {}): Promise<ServerOptions> {
  const { code, fake, io } = await run(['server', ...argv], env)
  expect(io.err, argv.join(' ')).not.toContain('linksocks:')
  expect(code).toBe(0)
  if (fake.server === undefined) throw new Error('no server')
  return fake.server
}

async function refused(argv: readonly string[], env: Env = {}): Promise<string> {
  const { code, io, fake } = await run(argv, env)
  expect(code).toBe(2)
  expect(io.out).toBe('')
  expect(io.lines).toHaveLength(1)
  expect(fake.calls).toEqual([])
  return io.err.trimEnd()
}

const T = ['-t', 'tok']

const OPTIONS: readonly (readonly [argv: string[], env: Env, expected: Partial<ServerOptions>])[] = [
  [['-H', '127.0.0.1'], {}, { host: '127.0.0.1' }],
  [['--ws-host', '[::1]'], {}, { host: '::1' }],
  [[], { LINKSOCKS_WEBSOCKET_HOST: '::' }, { host: '::' }],
  [['-H', '127.0.0.1'], { LINKSOCKS_WEBSOCKET_HOST: '::' }, { host: '127.0.0.1' }],
  [['-P', '1'], {}, { port: 1 }],
  [['--ws-port=0'], {}, { port: 0 }],
  [[], { LINKSOCKS_WEBSOCKET_PORT: '2' }, { port: 2 }],
  [['-P', '1'], { LINKSOCKS_WEBSOCKET_PORT: '2' }, { port: 1 }],
  [['-k', 'key'], {}, { apiKey: 'key' }],
  [['--api-key', 'key'], { LINKSOCKS_API_KEY: 'other' }, { apiKey: 'key' }],
  [[], { LINKSOCKS_API_KEY: 'other' }, { apiKey: 'other' }],
  [['-s', '::1'], {}, { socksHost: '::1' }],
  [['--socks-host', 'localhost'], {}, { socksHost: 'localhost' }],
  [[], { LINKSOCKS_SOCKS_HOST: '127.0.0.2' }, { socksHost: '127.0.0.2' }],
  [['--proxy-protocols', 'http', '--pac-host', 'a'], {}, { proxyProtocols: ['http'], pacHosts: ['a'] }],
  [[], { LINKSOCKS_PAC_HOST: 'a,b' }, { pacHosts: ['a', 'b'] }],
  [['-i'], {}, { socksNowait: true }],
  [['--socks-nowait'], {}, { socksNowait: true }],
  [['--socks-no-wait'], {}, { socksNowait: true }],
  [['--port-range', '20000-20010'], {}, { portRange: [20_000, 20_010] }],
  [['--connector-wait-provider', '500ms'], {}, { connectorWaitMs: 500 }],
  [['--connector-wait-provider', '0'], {}, { connectorWaitMs: 0 }],
  [['--udp-timeout', '30m'], {}, { udpTimeoutMs: 1_800_000 }],
  [
    ['--access-rule', '10.0.0.0/8:443', '--access-rule', '::1:1-9'],
    {},
    {
      dialRules: [
        { addresses: ['10.0.0.0/8'], ports: [443] },
        { addresses: ['::1'], ports: [[1, 9]] },
      ],
    },
  ],
  [['--ping-interval', '1s', '--ping-timeout', '1m'], {}, { pingIntervalMs: 1_000, pingTimeoutMs: 60_000 }],
  [['--trusted-proxy', '10.0.0.0/8', '--trusted-proxy', '::1'], {}, { trustedProxies: ['10.0.0.0/8', '::1/128'] }],
  [['-x', 'socks5://a:b@127.0.0.1:1080'], {}, { exitProxy: 'socks5://a:b@127.0.0.1:1080' }],
  [['--upstream-proxy', 'http://p'], { LINKSOCKS_UPSTREAM_PROXY: 'socks5://q' }, { exitProxy: 'http://p' }],
  [[], { LINKSOCKS_UPSTREAM_PROXY: 'socks5://q' }, { exitProxy: 'socks5://q' }],
  [['-f'], {}, { fastOpen: true }],
  [['--fast-open'], { LINKSOCKS_FASTOPEN: 'false' }, { fastOpen: true }],
  [[], { LINKSOCKS_FASTOPEN: '1' }, { fastOpen: true }],
  [['-d'], {}, { traceMessages: false }],
  [['-dd'], {}, { traceMessages: true }],
  [['-d', '-d'], {}, { traceMessages: true }],
  [['-b', '65536'], {}, {}],
  [['-rif', '-P1'], {}, { socksNowait: true, fastOpen: true, port: 1 }],
]

describe('linksocks server', () => {
  it.each(OPTIONS)('%j with %j asks the library for %j', async (argv, env, expected) => {
    expect(await serverOf([...T, ...argv], env)).toMatchObject(expected)
  })

  it('leaves every default to the library', async () => {
    const { logger, ...options } = await serverOf(T)
    const set = Object.entries(options).filter(([, value]) => value !== undefined && value !== false)
    expect(Object.fromEntries(set)).toEqual({ tokens: [{ type: 'forward', token: 'tok' }], trustedProxies: [] })
  })

  it('reads secrets from files', async () => {
    const token = temporaryFile('file-token\n')
    const key = temporaryFile('file-key\n')
    const expected = { apiKey: 'file-key', tokens: [{ type: 'forward', token: 'file-token' }] }
    expect(await serverOf(['--token-file', token, '--api-key-file', key])).toMatchObject(expected)
    expect(await serverOf([], { LINKSOCKS_TOKEN_FILE: token, LINKSOCKS_API_KEY_FILE: key })).toMatchObject(expected)
    const env = { LINKSOCKS_CONNECTOR_TOKEN_FILE: token, LINKSOCKS_SOCKS_PASSWORD_FILE: key }
    const { tokens } = await serverOf(['-r', ...T, '-n', 'ann'], env)
    expect(tokens).toEqual([
      { type: 'reverse', token: 'tok', port: 9870, username: 'ann', password: 'file-key' },
      { type: 'connector', token: 'file-token', reverseToken: 'tok' },
    ])
  })
})

const reverse = (more: Partial<TokenSpec> = {}): object => ({ type: 'reverse', token: 'tok', port: 9870, ...more })
const connector = (token: string): object => ({ type: 'connector', token, reverseToken: 'tok' })

const TOKENS: readonly (readonly [argv: string[], env: Env, expected: readonly object[]])[] = [
  [['-t', 'tok'], {}, [{ type: 'forward', token: 'tok' }]],
  [[], { LINKSOCKS_TOKEN: 'tok' }, [{ type: 'forward', token: 'tok' }]],
  [['-t', 'tok'], { LINKSOCKS_TOKEN: 'other' }, [{ type: 'forward', token: 'tok' }]],
  [['-r', ...T, '-c', 'con'], {}, [reverse(), connector('con')]],
  [['-r', ...T, '-c', 'con', '-c', 'co,n'], {}, [reverse(), connector('con'), connector('co,n')]],
  [['-r', ...T], { LINKSOCKS_CONNECTOR_TOKEN: 'con' }, [reverse(), connector('con')]],
  [['-r', ...T, '-c', 'con', '-p', '1080'], {}, [reverse({ port: 1080 }), connector('con')]],
  [['-r', ...T, '-c', 'con', '-p', '0'], {}, [{ type: 'reverse', token: 'tok' }, connector('con')]],
  [['-r', ...T, '-c', 'con'], { LINKSOCKS_SOCKS_PORT: '7' }, [reverse({ port: 7 }), connector('con')]],
  [
    ['-r', ...T, '-c', 'con', '-n', 'ann', '-w', 'pw'],
    {},
    [reverse({ username: 'ann', password: 'pw' }), connector('con')],
  ],
  [
    ['-r', ...T, '-c', 'con'],
    { LINKSOCKS_SOCKS_USERNAME: 'ann', LINKSOCKS_SOCKS_PASSWORD: 'pw' },
    [reverse({ username: 'ann', password: 'pw' }), connector('con')],
  ],
  [
    ['-r', ...T, '-c', 'con', '--access-rule', '10.0.0.1:80'],
    {},
    [reverse({ rules: [{ addresses: ['10.0.0.1'], ports: [80] }] }), connector('con')],
  ],
  [['-r', '-a', ...T], {}, [{ type: 'reverse', token: 'tok', allowManageConnector: true }]],
  [
    ['-r', ...T],
    { LINKSOCKS_CONNECTOR_AUTONOMY: 'true' },
    [{ type: 'reverse', token: 'tok', allowManageConnector: true }],
  ],
  [T, { LINKSOCKS_CONNECTOR_AUTONOMY: 'false' }, [{ type: 'forward', token: 'tok' }]],
  // with an API key the named tokens work as without it, and none is generated
  [['-k', 'key', ...T], {}, [{ type: 'forward', token: 'tok' }]],
  [['-k', 'key', '-r', ...T], {}, [reverse()]],
  [['-k', 'key', '-r', ...T, '-c', 'con'], {}, [reverse(), connector('con')]],
  [['-k', 'key', '-r', '-a', ...T], {}, [{ type: 'reverse', token: 'tok', allowManageConnector: true }]],
  [['-k', 'key'], {}, []],
  [['-k', 'key', '-r'], {}, []],
]

describe('tokens of linksocks server', () => {
  it.each(TOKENS)('%j with %j begins with %j', async (argv, env, expected) => {
    const { tokens = [] } = await serverOf(argv, env)
    expect(JSON.parse(JSON.stringify(tokens))).toEqual(expected)
  })

  const generated = ({ io }: Run): readonly string[] =>
    io.lines.filter((line) => line.includes(' token.generated ')).map((line) => / token=(\S+)$/.exec(line)?.[1] ?? '')

  it('are generated when none is named, and printed exactly once', async () => {
    const forward = await run(['server'])
    const [token = ''] = generated(forward)
    expect(token).toMatch(/^[0-9A-Za-z]{32}$/)
    expect(forward.fake.server?.tokens).toEqual([{ type: 'forward', token }])
    expect(forward.io.err.split(token)).toHaveLength(2)
    expect(forward.io.out).toBe('')
  })

  it('are generated for providers and connectors in reverse mode', async () => {
    const both = await run(['server', '-r'])
    const [token, con] = generated(both)
    expect(new Set([token, con]).size).toBe(2)
    expect(both.fake.server?.tokens).toMatchObject([
      { type: 'reverse', token },
      { type: 'connector', token: con, reverseToken: token },
    ])
    expect(generated(await run(['server', '-r', ...T]))).toHaveLength(1)
    expect(generated(await run(['server', '-r', '-c', 'con']))).toHaveLength(1)
    expect(generated(await run(['server', '-r', '-a']))).toHaveLength(1)
    expect(generated(await run(['server', '-r', '-a', ...T]))).toHaveLength(0)
    expect(generated(await run(['server', '-r', '-k', 'key']))).toHaveLength(0)
  })

  it('are machine-readable in a JSON log', async () => {
    const { io, fake } = await run(['server', '--log-format', 'json'])
    const entries = io.lines.map((line): Record<string, unknown> => JSON.parse(line))
    const [entry] = entries.filter(({ event }) => event === 'token.generated')
    expect(fake.server?.tokens).toEqual([{ type: 'forward', token: entry?.token }])
    expect(entry).toMatchObject({ level: 'info', type: 'forward' })
  })

  it('never appear when their user chose them', async () => {
    const argv = [
      'server',
      '-dd',
      '-r',
      '-t',
      'my-provider',
      '-c',
      'my-connector',
      '-k',
      'my-key',
      '-n',
      'ann',
      '-w',
      'my-pw',
    ]
    for (const format of ['text', 'json']) {
      const { io } = await run([...argv, '--log-format', format, '-x', 'socks5://bob:my-proxy@127.0.0.1:1080'])
      expect(io.err).not.toContain('my-')
      expect(io.err).not.toMatch(/[0-9a-f]{9}/)
    }
  })
})

const REFUSALS: readonly (readonly [argv: string[], env: Env, line: string | RegExp])[] = [
  [['-c', 'con'], {}, 'linksocks: --connector-token: needs --reverse (-r)'],
  [['-a'], {}, 'linksocks: --connector-autonomy: needs --reverse (-r)'],
  [[], { LINKSOCKS_CONNECTOR_TOKEN: 'con' }, 'linksocks: LINKSOCKS_CONNECTOR_TOKEN: needs --reverse (-r)'],
  [[], { LINKSOCKS_CONNECTOR_AUTONOMY: '1' }, 'linksocks: LINKSOCKS_CONNECTOR_AUTONOMY: needs --reverse (-r)'],
  [['-r', '-a', '-c', 'con'], {}, /^linksocks: --connector-token: cannot be combined with --connector-autonomy/],
  [['-r', '-c', 'con', '-k', 'key'], {}, /^linksocks: --connector-token: needs --token/],
  [['-r', ...T, '-c', 'tok'], {}, /^linksocks: --connector-token: each token must differ/],
  [['-r', ...T, '-c', 'con', '-c', 'con'], {}, /^linksocks: --connector-token: each token must differ/],
  [['-t', ''], {}, /^linksocks: --token: must be 1 to 255 bytes/],
  [['-t', 'anonymous'], {}, "linksocks: --token: 'anonymous' is reserved and cannot be used as a token"],
  [['-r', '-c', 'anonymous'], {}, /^linksocks: --connector-token: 'anonymous' is reserved/],
  [['-r', '-c', ''], {}, /^linksocks: --connector-token: must be 1 to 255 bytes/],
  [[], { LINKSOCKS_TOKEN: '' }, /^linksocks: LINKSOCKS_TOKEN: must be 1 to 255 bytes/],
  [['-k', ''], {}, /^linksocks: --api-key: must be 1 to 1024 ASCII/],
  [[], { LINKSOCKS_API_KEY: '' }, /^linksocks: LINKSOCKS_API_KEY: must be 1 to 1024 ASCII/],
  [['-k', 'a', '--api-key-file', 'b'], {}, 'linksocks: --api-key-file: cannot be combined with --api-key'],
  [['--token-file', '/does/not/exist'], {}, 'linksocks: --token-file: cannot read the file (ENOENT)'],
  [['--api-key-file', '/does/not/exist'], {}, 'linksocks: --api-key-file: cannot read the file (ENOENT)'],
  [[], { LINKSOCKS_TOKEN_FILE: '/x/y' }, 'linksocks: LINKSOCKS_TOKEN_FILE: cannot read the file (ENOENT)'],
  [['-n', 'ann'], {}, 'linksocks: --socks-username: needs --socks-password as well'],
  [['-w', 'pw'], {}, 'linksocks: --socks-password: needs --socks-username as well'],
  [[], { LINKSOCKS_SOCKS_USERNAME: 'ann' }, 'linksocks: LINKSOCKS_SOCKS_USERNAME: needs --socks-password as well'],
  [['-n', 'ann', '-w', ''], {}, /^linksocks: --socks-password: must be 1 to 255 bytes/],
  [['-n', '', '-w', 'pw'], {}, /^linksocks: --socks-username: must be 1 to 255 bytes/],
  [['-P', 'http'], {}, "linksocks: --ws-port: must be a port from 0 to 65535, not 'http'"],
  [['-p', '70000'], {}, "linksocks: --socks-port: must be a port from 0 to 65535, not '70000'"],
  [[], { LINKSOCKS_SOCKS_PORT: 'x' }, /^linksocks: LINKSOCKS_SOCKS_PORT: must be a port/],
  [['-H', 'a b'], {}, /^linksocks: --ws-host: must be a host name/],
  [['-s', ''], {}, /^linksocks: --socks-host: must be a host name/],
  [['--port-range', '9-1'], {}, /^linksocks: --port-range: must be two ports/],
  [['--connector-wait-provider', '5'], {}, /^linksocks: --connector-wait-provider: must be a duration/],
  [['--udp-timeout', '0'], {}, /^linksocks: --udp-timeout: must be a duration/],
  [['--access-rule', '10.0.0.1'], {}, /^linksocks: invalid --access-rule "10\.0\.0\.1": want ADDR:PORT$/],
  [
    ['-k', 'key', '--access-rule', '10.0.0.1:80'],
    {},
    /^linksocks: --access-rule is not allowed in API server mode; configure access control through the HTTP API$/,
  ],
  [['--ping-interval', '1m'], {}, 'linksocks: --ping-timeout: must be longer than --ping-interval'],
  [['--trusted-proxy', 'proxy'], {}, /^linksocks: --trusted-proxy: must be an address range/],
  [['-x', 'ftp://ann:hunter2@p'], {}, /^linksocks: --upstream-proxy: a proxy is written socks5:((?!hunter2).)*$/],
  [['--log-format', 'xml'], {}, "linksocks: --log-format: must be text or json, not 'xml'"],
  [[], { LINKSOCKS_FASTOPEN: 'x' }, /^linksocks: LINKSOCKS_FASTOPEN: must be true or false/],
]

describe('refusals of linksocks server', () => {
  it.each(REFUSALS)('%j with %j is a usage error', async (argv, env, line) => {
    expect(await refused(['server', ...argv], env)).toEqual(line instanceof RegExp ? expect.stringMatching(line) : line)
  })
})

describe('notices of linksocks server', () => {
  const notices = async (argv: readonly string[], env: Env = {}): Promise<readonly string[]> =>
    (await run(['server', ...argv], env)).io.lines.map((line) => line.slice('HH:MM:SS '.length))

  it('accepts the flags of deployed versions that mean nothing here, and says so once for each', async () => {
    const given = ['--transport-grace', '30s', '--direct-enable', '--direct-rendezvous-udp']
    const more = ['--direct-rendezvous-host', '192.0.2.1', '--direct-rendezvous-port', '8766']
    const lines = (await notices([...T, ...given, ...more])).filter((line) => line.includes('option.ignored'))
    expect(lines.map((line) => /^warn option.ignored option=(\S+)/.exec(line)?.[1])).toEqual([
      '--transport-grace',
      '--direct-enable',
      '--direct-rendezvous-udp',
      '--direct-rendezvous-host',
      '--direct-rendezvous-port',
    ])
  })

  it('says once that -b has no effect', async () => {
    const lines = await notices([...T, '-b', '1'])
    expect(lines.filter((line) => line.startsWith('info option.ignored option=--buffer-size'))).toHaveLength(1)
  })

  it.each([
    [[...T, '-p', '1'], '--socks-port'],
    [[...T, '-n', 'ann', '-w', 'pw'], '--socks-username'],
    [['-r', '-a', '-p', '1'], '--socks-port'],
    [[...T, '-s', '127.0.0.1'], '--socks-host'],
    [[...T, '-i'], '--socks-nowait'],
    [[...T, '--connector-wait-provider', '1s'], '--connector-wait-provider'],
    [['-r', ...T, '-x', 'http://p'], '--upstream-proxy'],
    [['-r', '-a', '--udp-timeout', '1m'], '--udp-timeout'],
    [['-r', '-a', '--access-rule', '10.0.0.1:80'], '--access-rule'],
    [['-r', '-a', '-s', '127.0.0.1'], '--socks-host'],
    [['-k', 'key', '-r'], '--reverse'],
    [['-k', 'key', '-r', '-a'], '--connector-autonomy'],
  ])('for %j says that %s has no effect', async (argv, flag) => {
    expect(await notices(argv)).toContainEqual(
      expect.stringMatching(new RegExp(`^warn option.ignored option=${flag} `)),
    )
  })

  it.each([
    [['-r', ...T, '-i', '-s', '127.0.0.1', '-f', '--connector-wait-provider', '1s']],
    [[...T, '-x', 'http://p', '--udp-timeout', '1m']],
    [['-k', 'key', '-r', ...T, '-x', 'http://p', '-s', '127.0.0.1', '--port-range', '1-2']],
  ])('for %j says nothing: all of it has an effect', async (argv) => {
    expect((await notices(argv)).join()).not.toContain('ignored')
  })

  it('says nothing of variables that have no effect, which several programs may share', async () => {
    const lines = await notices(T, { LINKSOCKS_SOCKS_PORT: '1', LINKSOCKS_URL: 'x' })
    expect(lines.join()).not.toContain('ignored')
  })
})
