import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/main.js'
import type { ServerOptions } from '../../src/node/options.js'
import { FakeIo, FakeLibrary, run } from './harness.js'

type Env = Record<string, string>

const T = ['-t', 'tok']
const TLS = ['--tls-cert', 'c.pem', '--tls-key', 'k.pem']
const ACME = ['--acme-domain', 'relay.example.com', '--data-dir', 'd']
const WSS = ['--listen', 'wss://0.0.0.0:443']
const CERTIFICATES = { certificates: [{ certFile: 'c.pem', keyFile: 'k.pem' }] }

async function optionsOf(argv: readonly string[], env: Env = {}): Promise<ServerOptions> {
  const { code, fake, io } = await run(['server', ...T, ...argv], env)
  expect(io.err, argv.join(' ')).not.toContain('linksocks:')
  expect(code).toBe(0)
  return fake.server ?? {}
}

async function refusal(argv: readonly string[], env: Env = {}): Promise<string> {
  const { code, io, fake } = await run(['server', ...T, ...argv], env)
  expect([code, io.out, io.lines.length, fake.calls]).toEqual([2, '', 1, []])
  return io.err.trimEnd()
}

const OPTIONS: readonly (readonly [argv: string[], env: Env, expected: Partial<ServerOptions>])[] = [
  [[], {}, { host: undefined, port: undefined, listen: undefined, tls: undefined, acme: undefined }],
  [['--listen', 'ws://[::1]:80'], {}, { listen: ['ws://[::1]:80'], tls: undefined }],
  [['--listen', 'ws+unix:/run/a.sock', '--listen', 'ws://a:0'], {}, { listen: ['ws+unix:/run/a.sock', 'ws://a:0'] }],
  [[], { LINKSOCKS_LISTEN: 'ws://a:1, ws://b:2' }, { listen: ['ws://a:1', 'ws://b:2'] }],
  [[], { LINKSOCKS_LISTEN: ' ws://a:1\nws://b:2 ' }, { listen: ['ws://a:1', 'ws://b:2'] }],
  [['--listen', 'ws://a:1'], { LINKSOCKS_LISTEN: 'ws://b:2' }, { listen: ['ws://a:1'] }],
  [
    ['--listen', 'ws://a:1'],
    { LINKSOCKS_WEBSOCKET_HOST: '::', LINKSOCKS_WEBSOCKET_PORT: '2' },
    { listen: ['ws://a:1'], host: undefined, port: undefined },
  ],
  [TLS, {}, { tls: { ...CERTIFICATES, clientCaFile: undefined, clientAuth: undefined }, listen: undefined }],
  [['-P', '443', ...TLS], {}, { port: 443, tls: { ...CERTIFICATES } }],
  [[...WSS, ...TLS], {}, { listen: ['wss://0.0.0.0:443'], tls: { ...CERTIFICATES } }],
  [['--listen', 'WSS://a', '--listen', 'ws://a', ...TLS], {}, { listen: ['WSS://a', 'ws://a'] }],
  [
    ['--tls-cert', 'a', '--tls-cert', 'b', '--tls-key', 'x', '--tls-key', 'y'],
    {},
    {
      tls: {
        certificates: [
          { certFile: 'a', keyFile: 'x' },
          { certFile: 'b', keyFile: 'y' },
        ],
      },
    },
  ],
  [[], { LINKSOCKS_TLS_CERT: 'c.pem', LINKSOCKS_TLS_KEY: 'k.pem' }, { tls: { ...CERTIFICATES } }],
  [['--tls-key', 'k.pem'], { LINKSOCKS_TLS_CERT: 'c.pem', LINKSOCKS_TLS_KEY: 'x' }, { tls: { ...CERTIFICATES } }],
  [
    [...TLS, '--tls-client-ca', 'ca.pem'],
    {},
    { tls: { ...CERTIFICATES, clientCaFile: 'ca.pem', clientAuth: undefined } },
  ],
  [
    [...TLS, '--tls-client-ca', 'ca.pem', '--tls-client-auth', 'optional'],
    {},
    { tls: { ...CERTIFICATES, clientCaFile: 'ca.pem', clientAuth: 'optional' } },
  ],
  [
    [...ACME, '--tls-client-ca', 'ca.pem', '--tls-client-auth', 'required'],
    {},
    { tls: { certificates: [], clientCaFile: 'ca.pem', clientAuth: 'required' } },
  ],
  [ACME, {}, { acme: { domains: ['relay.example.com'] }, tls: undefined }],
  [[...WSS, ...ACME], {}, { listen: ['wss://0.0.0.0:443'], acme: { domains: ['relay.example.com'] } }],
]

const FORM = 'must be ws://HOST:PORT, wss://HOST:PORT, ws+unix:/PATH or ws+fd:NUMBER'
const NO_CERTIFICATE = 'wss:// needs a certificate: --tls-cert with --tls-key, or --acme-domain'
const NO_TLS = 'needs an address with TLS: --listen wss://HOST:PORT'

const REFUSALS: readonly (readonly [argv: string[], env: Env, message: string])[] = [
  [['--listen', 'a:1'], {}, `--listen: ${FORM}, not 'a:1'`],
  [['--listen', ''], {}, `--listen: ${FORM}, not ''`],
  [['--listen', 'ws://a:1', '--listen', 'ws://a:99999'], {}, '--listen: 99999 is not a port number'],
  [[], { LINKSOCKS_LISTEN: 'ws://a:1,http://b' }, `LINKSOCKS_LISTEN: ${FORM}, not 'http://b'`],
  [['--listen', 'ws://a:1', '-H', 'b'], {}, '--ws-host: cannot be combined with --listen'],
  [['--listen', 'ws://a:1', '-P', '2'], {}, '--ws-port: cannot be combined with --listen'],
  [['-P', '2'], { LINKSOCKS_LISTEN: 'ws://a:1' }, '--ws-port: cannot be combined with LINKSOCKS_LISTEN'],
  [WSS, {}, `--listen: ${NO_CERTIFICATE}`],
  [[], { LINKSOCKS_LISTEN: 'ws://a:1 wss://a:2' }, `LINKSOCKS_LISTEN: ${NO_CERTIFICATE}`],
  [['--listen', 'ws://a:1', ...TLS], {}, `--tls-cert: ${NO_TLS}`],
  [['--listen', 'ws+unix:/a', ...ACME], {}, `--acme-domain: ${NO_TLS}`],
  [['--listen', 'ws://a:1'], { LINKSOCKS_TLS_CERT: 'c', LINKSOCKS_TLS_KEY: 'k' }, `LINKSOCKS_TLS_CERT: ${NO_TLS}`],
  [['--tls-cert', 'c'], {}, '--tls-cert: needs --tls-key as often, in the same order'],
  [['--tls-key', 'k'], {}, '--tls-key: needs --tls-cert as often, in the same order'],
  [[...TLS, '--tls-cert', 'c'], {}, '--tls-cert: needs --tls-key as often, in the same order'],
  [[], { LINKSOCKS_TLS_KEY: 'k' }, 'LINKSOCKS_TLS_KEY: needs --tls-cert as often, in the same order'],
  [['--tls-cert', '', '--tls-key', 'k'], {}, '--tls-cert: must not be empty'],
  [[...TLS, '--tls-client-auth', 'optional'], {}, '--tls-client-auth: needs --tls-client-ca'],
  [['--tls-client-ca', 'ca'], {}, '--tls-client-ca: needs TLS: --tls-cert with --tls-key, or --acme-domain'],
  [
    [],
    { LINKSOCKS_TLS_CLIENT_CA: 'ca' },
    'LINKSOCKS_TLS_CLIENT_CA: needs TLS: --tls-cert with --tls-key, or --acme-domain',
  ],
  [TLS, { LINKSOCKS_TLS_CLIENT_AUTH: 'optional' }, 'LINKSOCKS_TLS_CLIENT_AUTH: needs --tls-client-ca'],
]

describe('where linksocks server listens', () => {
  it.each(OPTIONS)('%j with %j ask the library for %j', async (argv, env, expected) => {
    const { host, port, listen, tls, acme } = await optionsOf(argv, env)
    expect({ host, port, listen, tls, acme }).toMatchObject(expected)
  })

  it.each(REFUSALS)('%j with %j are refused: %s', async (argv, env, message) => {
    expect(await refusal(argv, env)).toContain(`linksocks: ${message}`)
  })

  it('refuses a mode that there is not', async () => {
    expect(await refusal([...TLS, '--tls-client-ca', 'ca', '--tls-client-auth', 'maybe'])).toContain('maybe')
  })

  it('has its certificates read again at each request', async () => {
    const io = new FakeIo()
    const start = async (): Promise<void> => {
      setImmediate(() => {
        io.hangUp()
        io.hangUp()
        io.signal()
      })
    }
    const fake = new FakeLibrary({ start })
    expect(await main(['server', ...T], {}, io, async () => fake.library)).toBe(0)
    expect(fake.calls).toEqual(['start', 'reload', 'reload', 'close'])
  })

  it('is named in the line that says that it is ready', async () => {
    const { io } = await run(['server', ...T])
    expect(io.err).toContain('listen=ws://0.0.0.0:8765')
  })
})
