import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { ClientOptions } from '../../src/node/options.js'
import { run, temporaryFile } from './harness.js'

type Env = Record<string, string>

async function clientOf(argv: readonly string[], env: Env = {}): Promise<ClientOptions> {
  const { code, fake, io } = await run(argv, env)
  expect(io.err, argv.join(' ')).not.toContain('linksocks:')
  expect(code).toBe(0)
  if (fake.client === undefined) throw new Error('no client')
  return fake.client
}

const PEM = readFileSync(new URL('../support/tls/ca.pem', import.meta.url), 'utf8')
const BROKEN_PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'

const OPTIONS: readonly (readonly [argv: string[], env: Env, expected: object])[] = [
  [['-t', 'tok'], {}, { token: 'tok' }],
  [['--token', 'anonymous'], {}, { token: 'anonymous' }],
  [[], { LINKSOCKS_TOKEN: 'tok' }, { token: 'tok' }],
  [['-t', 'tok'], { LINKSOCKS_TOKEN: 'other' }, { token: 'tok' }],
  [['-u', 'relay.example.com'], {}, { url: 'relay.example.com' }],
  [['-u', 'one.test', '--url', 'ws://two.test'], { LINKSOCKS_URL: 'ws://x' }, { url: ['one.test', 'ws://two.test'] }],
  [[], { LINKSOCKS_URL: ' ws://one.test  two.test ' }, { url: ['ws://one.test', 'two.test'] }],
  [['--url', 'ws://a:1/x'], { LINKSOCKS_URL: 'b' }, { url: 'ws://a:1/x' }],
  [[], { LINKSOCKS_URL: 'wss://b' }, { url: 'wss://b' }],
  [['-s', '::1'], {}, { socks: { host: '::1' } }],
  [[], { LINKSOCKS_SOCKS_HOST: '127.0.0.2' }, { socks: { host: '127.0.0.2' } }],
  [['-p', '1080'], { LINKSOCKS_SOCKS_PORT: '2' }, { socks: { port: 1080 } }],
  [['--socks-port', '0'], {}, { socks: { port: 0 } }],
  [[], { LINKSOCKS_SOCKS_PORT: '2' }, { socks: { port: 2 } }],
  [['-n', 'ann', '-w', 'pw'], {}, { socks: { username: 'ann', password: 'pw' } }],
  [['--socks-username', 'ann', '--socks-password', 'pw'], {}, { socks: { username: 'ann', password: 'pw' } }],
  [
    [],
    { LINKSOCKS_SOCKS_USERNAME: 'ann', LINKSOCKS_SOCKS_PASSWORD: 'pw' },
    { socks: { username: 'ann', password: 'pw' } },
  ],
  [['-n', 'bob'], { LINKSOCKS_SOCKS_USERNAME: 'ann', LINKSOCKS_SOCKS_PASSWORD: 'pw' }, { socks: { username: 'bob' } }],
  [['-i'], {}, { socks: { nowait: true } }],
  [['--socks-no-wait'], {}, { socks: { nowait: true } }],
  [['--socks-nowait'], {}, { socks: { nowait: true } }],
  [['--proxy-protocols', 'http,socks5'], {}, { socks: { proxyProtocols: ['socks5', 'http'] } }],
  [[], { LINKSOCKS_PROXY_PROTOCOLS: 'socks4' }, { socks: { proxyProtocols: ['socks4'] } }],
  [['--udp-strict-port'], {}, { socks: { udpStrictPort: true } }],
  [['--pac-host', 'a.example', '--pac-host', 'b'], {}, { socks: { pacHosts: ['a.example', 'b'] } }],
  [['--pac-host', 'a'], { LINKSOCKS_PAC_HOST: 'b' }, { socks: { pacHosts: ['a'] } }],
  [[], { LINKSOCKS_PAC_HOST: 'a.example' }, { socks: { pacHosts: ['a.example'] } }],
  [[], { LINKSOCKS_PAC_HOST: ' a, b\tc,d, ' }, { socks: { pacHosts: ['a', 'b', 'c', 'd'] } }],
  [['-R'], {}, { reconnect: false }],
  [['--no-reconnect'], {}, { reconnect: false }],
  [[], {}, { reconnect: true, retryAuth: false, authInBand: false, fastOpen: false, reverse: false }],
  [['--retry-auth'], { LINKSOCKS_RETRY_AUTH: 'false' }, { retryAuth: true }],
  [[], { LINKSOCKS_RETRY_AUTH: 'true' }, { retryAuth: true }],
  [['-T', '64'], {}, { threads: 64 }],
  [['--threads', '1'], {}, { threads: 1 }],
  [['--server-proxy', 'http://ann:pw@p:8080'], {}, { serverProxy: 'http://ann:pw@p:8080' }],
  [[], { all_proxy: 'socks5://p' }, { proxyEnv: { all_proxy: 'socks5://p' } }],
  [['-E'], { all_proxy: 'socks5://p' }, { proxyEnv: undefined }],
  [['--no-env-proxy'], { all_proxy: 'socks5://p' }, { proxyEnv: undefined }],
  [['--header', 'X-A: 1', '--header', 'X-B:2'], {}, { headers: { 'X-A': '1', 'X-B': '2' } }],
  [['--server-name', 'relay.internal'], {}, { tls: { serverName: 'relay.internal' } }],
  [['--insecure'], {}, { tls: { insecure: true } }],
  [['--auth-in-band'], {}, { authInBand: true }],
  [['-f'], {}, { fastOpen: true }],
  [[], { LINKSOCKS_FASTOPEN: 'yes' }, { fastOpen: true }],
  [['-dd'], {}, { traceMessages: true }],
  [['--access-rule', '10.0.0.1:80'], {}, { entryRules: [{ addresses: ['10.0.0.1'], ports: [80] }] }],
]

describe('linksocks client and connector', () => {
  it.each(OPTIONS)('%j with %j ask the library for %j', async (argv, env, expected) => {
    for (const command of ['client', 'connector']) {
      expect(await clientOf([command, ...argv], env)).toMatchObject(expected)
    }
  })

  it('read secrets and certificates from files', async () => {
    const token = temporaryFile('file-token\n')
    expect(await clientOf(['client', '--token-file', token])).toMatchObject({ token: 'file-token' })
    expect(await clientOf(['client'], { LINKSOCKS_TOKEN_FILE: token })).toMatchObject({ token: 'file-token' })
    const env = { LINKSOCKS_SOCKS_PASSWORD_FILE: token }
    expect(await clientOf(['client', '-n', 'ann'], env)).toMatchObject({ socks: { password: 'file-token' } })
    expect(await clientOf(['client', '--ca-file', temporaryFile(PEM)])).toMatchObject({ tls: { ca: PEM } })
  })

  it('ignore the connector token of a shared environment', async () => {
    const { connectorTokens, token } = await clientOf(['client', '-t', 'tok'], { LINKSOCKS_CONNECTOR_TOKEN: 'con' })
    expect({ connectorTokens, token }).toEqual({ connectorTokens: undefined, token: 'tok' })
  })
})

const PROVIDER_OPTIONS: readonly (readonly [argv: string[], env: Env, expected: object])[] = [
  [['-t', 'tok'], {}, { token: 'tok', reverse: true, connectorTokens: [] }],
  [['-c', 'con'], {}, { connectorTokens: ['con'] }],
  [['-c', 'a', '--connector-token', 'b'], {}, { connectorTokens: ['a', 'b'] }],
  [[], { LINKSOCKS_CONNECTOR_TOKEN: 'con' }, { connectorTokens: ['con'] }],
  [['-c', 'a'], { LINKSOCKS_CONNECTOR_TOKEN: 'con' }, { connectorTokens: ['a'] }],
  [['-x', 'socks5://p'], {}, { exitProxy: 'socks5://p' }],
  [[], { LINKSOCKS_UPSTREAM_PROXY: 'http://p' }, { exitProxy: 'http://p' }],
  [[], { LINKSOCKS_UPSTREAM_PROXY: '' }, { exitProxy: undefined }],
  [['--udp-timeout', '1m'], {}, { udpTimeoutMs: 60_000 }],
  [['--access-rule', '10.0.0.1:80'], {}, { dialRules: [{ addresses: ['10.0.0.1'], ports: [80] }] }],
  [['--ping-interval', '5s', '--ping-timeout', '12s'], {}, { pingIntervalMs: 5_000, pingTimeoutMs: 12_000 }],
]

describe('linksocks provider', () => {
  it.each(PROVIDER_OPTIONS)(
    'with %j and %j asks the library for %j, as client -r does',
    async (argv, env, expected) => {
      for (const command of [['provider'], ['client', '-r'], ['connector', '--reverse'], ['provider', '-r']]) {
        expect(await clientOf([...command, ...argv], env)).toMatchObject(expected)
      }
    },
  )

  it('has no SOCKS port', async () => {
    const { fake, io } = await run(['provider', '-p', '1', '-f'])
    expect(fake.client).not.toHaveProperty('socks')
    expect(io.err).toContain('warn option.ignored option=--socks-port')
    expect(io.err).toContain('warn option.ignored option=--fast-open')
  })
})

const REFUSALS: readonly (readonly [argv: string[], env: Env, line: RegExp])[] = [
  [['client', '-c', 'con'], {}, /^--connector-token: is for providers/],
  [['connector', '-c', 'con'], {}, /^--connector-token: is for providers/],
  [['provider', '-c', ''], {}, /^--connector-token: must be 1 to 255 bytes/],
  [['provider', '-c', 'anonymous'], {}, /^--connector-token: 'anonymous' is reserved/],
  [['client', '-t', ''], {}, /^--token: must be 1 to 255 bytes/],
  [['client'], { LINKSOCKS_TOKEN: '' }, /^LINKSOCKS_TOKEN: must be 1 to 255 bytes/],
  [['client', '-t', 'a', '--token-file', 'b'], {}, /^--token-file: cannot be combined with --token$/],
  [['client', '--token-file', temporaryFile('')], {}, /^--token-file: must be 1 to 255 bytes/],
  [['client', '-u', 'ftp://x'], {}, /^--url: /],
  [['client', '-u', 'ws://x', '-u', 'ftp://x'], {}, /^--url: /],
  [['client'], { LINKSOCKS_URL: 'ws://x ftp://x' }, /^LINKSOCKS_URL: /],
  [
    ['client'],
    { LINKSOCKS_PAC_HOST: 'a b:80' },
    /^LINKSOCKS_PAC_HOST: must be a host name without a port, not 'b:80'$/,
  ],
  [['client', '-u', 'ws://ann:hunter2@x'], {}, /^--url: ((?!hunter2).)*$/],
  [['client'], { LINKSOCKS_URL: 'ftp://x' }, /^LINKSOCKS_URL: /],
  [['client', '-n', 'ann'], {}, /^--socks-username: needs --socks-password as well$/],
  [['client'], { LINKSOCKS_SOCKS_PASSWORD: 'pw' }, /^LINKSOCKS_SOCKS_PASSWORD: needs --socks-username as well$/],
  [['client', '-p', '-1'], {}, /^--socks-port: must be a port/],
  [['client', '-T', '0'], {}, /^--threads: must be a number from 1 to 64, not '0'$/],
  [['client', '-T', '65'], {}, /^--threads: must be/],
  [['client', '--server-proxy', 'proxy'], {}, /^--server-proxy: a proxy is written socks5:/],
  [['client', '--header', 'nothing'], {}, /^--header: must be 'Name: value'$/],
  [['client', '--header', 'A: 1', '--header', 'a: 2'], {}, /^--header: 'a' is given twice$/],
  [['client', '--server-name', ''], {}, /^--server-name: must be a host name/],
  [['client', '--ca-file', ''], {}, /^--ca-file: must not be empty$/],
  [['client', '--ca-file', '/does/not/exist'], {}, /^--ca-file: cannot read the file \(ENOENT\)$/],
  [['client', '--ca-file', temporaryFile('no certificate')], {}, /^--ca-file: the file holds no PEM certificate$/],
  [['client', '--ca-file', temporaryFile(PEM + BROKEN_PEM)], {}, /^--ca-file: the file: certificate 2 can't be read$/],
  [['client', '--ca-file', temporaryFile(PEM.repeat(20_000))], {}, /^--ca-file: the file is larger than/],
  [['provider', '-x', 'p'], {}, /^--upstream-proxy: a proxy is written socks5:/],
  [['provider', '--udp-timeout', '1d'], {}, /^--udp-timeout: must be a duration/],
  [['provider', '--access-rule', 'a:b'], {}, /^invalid --access-rule "a:b": bad port "b"$/],
  [['connector', '--ping-timeout', '20s'], {}, /^--ping-timeout: must be longer than --ping-interval$/],
  [['client', '--ping-interval', '1ms'], {}, /^--ping-interval: must be a duration/],
]

describe('refusals of the clients', () => {
  it.each(REFUSALS)('%j with %j is a usage error', async (argv, env, line) => {
    const { code, io, fake } = await run(argv, env)
    expect(code).toBe(2)
    expect(io.lines).toHaveLength(1)
    expect(io.lines[0]?.slice('linksocks: '.length)).toMatch(line)
    expect(fake.calls).toEqual([])
  })
})

describe('notices of the clients', () => {
  it('warn of --insecure', async () => {
    expect((await run(['client', '--insecure'])).io.err).toContain('warn tls.unchecked')
    expect((await run(['client'])).io.err).not.toContain('warn')
  })

  it('say that -x does not lead to the server', async () => {
    const { io, fake } = await run(['client', '-x', 'http://p'])
    expect(io.err).toMatch(/warn option.ignored option=--upstream-proxy .*--server-proxy/)
    expect(fake.client?.exitProxy).toBeUndefined()
  })
})

describe.each(['client', 'provider', 'connector'])('flags of deployed versions for linksocks %s', (command) => {
  const DIRECT: readonly (readonly string[])[] = [
    ['--direct-discovery', 'server'],
    ['--direct-host-candidates', 'never'],
    ['--stun-server', 'stun.test:3478'],
    ['--direct-only-action', 'refuse'],
    ['--direct-upnp'],
    ['--direct-upnp-lease', '30m'],
    ['--direct-upnp-keep'],
    ['--direct-upnp-external-port', '0'],
  ]

  it('are accepted without effect, and the log says so once for each', async () => {
    const all = [['--transport-grace', '30s'], ['--direct-mode', ' Auto'], ...DIRECT, ['--stun-server', 'other.test']]
    const { code, io, fake } = await run([command, '-t', 'tok', ...all.flat()])
    expect([code, fake.client?.token]).toEqual([0, 'tok'])
    const ignored = io.lines.flatMap((line) => /warn option.ignored option=(\S+)/.exec(line)?.[1] ?? [])
    expect(ignored.sort()).toEqual(['--direct-mode', '--transport-grace', ...DIRECT.map(([flag]) => flag)].sort())
  })

  it('say nothing when they are not given', async () => {
    expect((await run([command, '-t', 'tok'])).io.err).not.toContain('option.ignored')
  })

  it.each(['direct-only', ' Direct-Only '])('refuse a direct mode without the relay: %j', async (mode) => {
    const { code, io, fake } = await run([command, '--direct-mode', mode])
    expect([code, fake.calls]).toEqual([2, []])
    expect(io.err).toBe(
      'linksocks: --direct-mode: direct-only is not possible: this version has no direct path, all goes through the server\n',
    )
  })

  it('refuse a direct mode that nobody knows', async () => {
    const { code, io } = await run([command, '--direct-mode', 'relay'])
    expect(code).toBe(2)
    expect(io.err).toContain("--direct-mode: must be auto, relay-only or direct-only, not 'relay'")
  })
})
