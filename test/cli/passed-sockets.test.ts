import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/main.js'
import { LinkSocksError } from '../../src/errors.js'
import { FakeIo, FakeLibrary } from './harness.js'

const PID = 100
const CERTIFICATE = ['--tls-cert', 'a', '--tls-key', 'b']

async function run(
  argv: readonly string[],
  names: string,
  env: Readonly<Record<string, string>> = {},
  start = () => {},
) {
  const io = Object.assign(new FakeIo(), { pid: PID })
  const fake = new FakeLibrary({
    start: async () => {
      start()
      setImmediate(() => io.signal())
    },
  })
  const listen = { LISTEN_PID: `${PID}`, LISTEN_FDS: `${names.split(':').length}`, LISTEN_FDNAMES: names }
  const code = await main(argv, { ...listen, ...env }, io, async () => fake.library)
  return { code, io, server: fake.server, client: fake.client }
}

describe('linksocks server that is passed sockets', () => {
  it('listens on those of HTTP and TLS, and on what --listen names besides', async () => {
    const plain = await run(['server', '-t', 'F'], 'unknown:http')
    expect(plain.server).toMatchObject({ listen: ['ws+fd:3', 'ws+fd:4'] })
    expect(plain.server).not.toHaveProperty('host')
    const { server } = await run(
      ['server', '-t', 'F', ...CERTIFICATE, '--listen', 'ws://127.0.0.1:1'],
      'a.socket:http:tls',
    )
    expect(server?.listen).toEqual(['wss+fd:3', 'ws+fd:4', 'wss+fd:5', 'ws://127.0.0.1:1'])
  })

  it('gives the others to proxy ports, metrics and ACME, and listens as without them', async () => {
    const acme = ['--acme-domain', 'a.example', '--data-dir', 'd', '--acme-http-listen', 'none']
    const args = ['server', '-t', 'F', '-P', '443', ...acme, '--metrics-listen', '127.0.0.1:1']
    const { server, io } = await run(args, 'socks:metrics:acme:socks')
    expect(server).toMatchObject({
      port: 443,
      socksSockets: [3, 6],
      metricsListen: { fd: 4 },
      acme: { httpListen: { fd: 5 } },
    })
    expect(server).not.toHaveProperty('listen')
    expect(io.err).toContain('option.ignored option=--metrics-listen')
    expect(io.err).toContain('option.ignored option=--acme-http-listen')
    expect(io.err).not.toContain('option=--ws-port')
  })

  it('says which flags and variables it ignores', async () => {
    const { io, code } = await run(['server', '-t', 'F', '-H', '::'], 'http', { LINKSOCKS_WEBSOCKET_PORT: '1' })
    expect(code).toBe(0)
    for (const option of ['--ws-host', 'LINKSOCKS_WEBSOCKET_PORT']) {
      expect(io.err).toContain(`option.ignored option=${option} reason="a socket was passed in its place (LISTEN_FDS)"`)
    }
  })

  it('takes none of another process', async () => {
    const { server, io } = await run(['server', '-t', 'F'], 'http', { LISTEN_PID: '7' })
    expect(server).not.toHaveProperty('listen')
    expect(io.err).toContain('warn sockets.ignored listenPid=7 pid=100')
  })

  it.each<[readonly string[], string, string]>([
    [[], 'tls', 'LISTEN_FDNAMES: tls needs a certificate: --tls-cert with --tls-key, or --acme-domain'],
    [[], 'metrics:metrics', 'LISTEN_FDNAMES: metrics: one socket at most'],
    [[], 'acme', 'LISTEN_FDNAMES: acme needs --acme-domain'],
    [CERTIFICATE, 'http', '--tls-cert: needs an address with TLS: --listen wss://HOST:PORT'],
    [[], Array(17).fill('http').join(':'), 'LISTEN_FDS: at most 16 addresses'],
    [[], Array(129).fill('socks').join(':'), 'LISTEN_FDNAMES: socks: at most 128 sockets'],
    [['--listen', 'ws+fd:4'], 'http:metrics', '--listen: must be another address: this socket is one of LISTEN_FDS'],
    [['--listen', 'WS+FD:4'], 'http:metrics', '--listen: must be another address: this socket is one of LISTEN_FDS'],
    [['--listen', 'ws://a:1', '-P', '1'], 'http', '--ws-port: cannot be combined with --listen'],
    [[], 'web', 'LISTEN_FDNAMES: a socket is named http, tls, socks, metrics, acme, or after its unit (*.socket)'],
  ])('refuses %j with %s: %s', async (args, names, message) => {
    const { code, io, server } = await run(['server', '-t', 'F', ...args], names)
    expect(code).toBe(2)
    expect(io.err).toContain(`linksocks: ${message}`)
    expect(server).toBeUndefined()
  })

  it('names LISTEN_FDS where a socket cannot be used', async () => {
    const { code, io } = await run(['server', '-t', 'F'], 'http', {}, () => {
      throw new LinkSocksError('ERR_LISTEN', 'descriptor 3 is not a socket')
    })
    expect(code).toBe(1)
    expect(io.err).toContain('linksocks: LISTEN_FDS: descriptor 3 is not a socket\n')
  })
})

describe('linksocks client that is passed sockets', () => {
  it('takes them for its proxy port', async () => {
    const { client, io } = await run(['client', '-s', '0.0.0.0'], 'socks:proxy.socket', { LINKSOCKS_SOCKS_PORT: '1' })
    expect(client?.socks).toMatchObject({ sockets: [3, 4] })
    expect(client?.socks).not.toHaveProperty('port')
    for (const option of ['--socks-host', 'LINKSOCKS_SOCKS_PORT'])
      expect(io.err).toContain(`option.ignored option=${option}`)
  })

  it.each([
    [
      'client',
      'metrics',
      'LISTEN_FDNAMES: metrics is for servers: the socket of a client is named socks, or not at all',
    ],
    ['connector', 'tls', 'LISTEN_FDNAMES: tls is for servers: the socket of a client is named socks, or not at all'],
    ['provider', 'socks', 'LISTEN_FDS: a provider has no proxy port, and takes no socket'],
  ])('refuses as a %s %s: %s', async (command, names, message) => {
    const { code, io } = await run([command, '-t', 'T'], names)
    expect(code).toBe(2)
    expect(io.err).toContain(`linksocks: ${message}`)
  })

  it('names LISTEN_FDS where a socket cannot be used', async () => {
    const { code, io } = await run(['client', '-t', 'F'], 'socks', {}, () => {
      throw new LinkSocksError('ERR_LISTEN', 'descriptor 3 is not a socket')
    })
    expect(code).toBe(1)
    expect(io.err).toContain('linksocks: LISTEN_FDS: descriptor 3 is not a socket\n')
  })
})

describe('the variables of passed sockets', () => {
  it('are not for the processes that are started from here', async () => {
    const forgotten: string[] = []
    const io = Object.assign(new FakeIo(), {
      pid: PID,
      forgetVariables: (names: readonly string[]) => forgotten.push(...names),
    })
    const fake = new FakeLibrary({ start: async () => void setImmediate(() => io.signal()) })
    await main(['server', '-t', 'F'], { LISTEN_PID: '7', LISTEN_FDS: '1' }, io, async () => fake.library)
    expect(forgotten).toEqual(['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'])
  })
})
