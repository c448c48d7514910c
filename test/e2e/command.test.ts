import { describe, expect, it } from 'vitest'
import { api } from '../support/e2e/modes.js'
import type { LinksocksProcess } from '../support/e2e/process.js'
import { sceneOfTest } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { echoTarget, readAll } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually } from '../support/wait.js'

/** One line for people: what is wrong, and nothing of how the program noticed. */
function expectOneLine({ stderr }: LinksocksProcess, text: RegExp): void {
  const lines = stderr.split('\n').filter((line) => !/^\d\d:\d\d:\d\d /.test(line))
  expect(lines).toEqual([expect.stringMatching(text), ''])
  expect(stderr).not.toMatch(/^\s+at |node:internal|\.js:\d+/m)
}

describe('linksocks', () => {
  const scene = sceneOfTest()

  it.each<[string, RegExp]>([
    ['version', /^linksocks \d+\.\d+\.\d+\n$/],
    ['--version', /^linksocks \d+\.\d+\.\d+\n$/],
    ['--help', /^Usage: linksocks /],
    ['server --help', /^Usage: linksocks server /],
    ['provider -h', /^Usage: linksocks provider /],
  ])('answers %j on standard output and ends with 0', async (args, text) => {
    const process = scene.start(args.split(' '))
    expect(await process.end()).toBe(0)
    expect(process.stdout).toMatch(text)
    expect(process.stderr).toBe('')
  })

  it.each<[readonly string[], RegExp]>([
    [['server', '-t', 'x', '-c', 'y'], /^linksocks: --connector-token: needs --reverse/],
    [['server', '-t', 'x', '-a'], /^linksocks: --connector-autonomy: needs --reverse/],
    [['server', '-t', 'anonymous'], /^linksocks: --token: 'anonymous' is reserved/],
    [['client', '-n', 'ann'], /^linksocks: --socks-username: needs --socks-password/],
    [['client', '--threads', '0'], /^linksocks: --threads: must be/],
    [['client', '-u', 'ftp://host'], /^linksocks: --url: /],
    [['client', '-t', ''], /^linksocks: --token: must be/],
    [['server', '--no-such-flag'], /^linksocks: .*--no-such-flag/],
    [['bogus'], /^linksocks: .*bogus/],
  ])('ends with 2 and one line for %j', async (args, text) => {
    const process = scene.start(args)
    expect(await process.end()).toBe(2)
    expectOneLine(process, text)
  })

  it('ends with 2 when a variable is wrong, and names it', async () => {
    const wrong = [
      ['LINKSOCKS_TOKEN', ''],
      ['LINKSOCKS_WEBSOCKET_PORT', '65536'],
      ['LINKSOCKS_TOKEN_FILE', '/nowhere/token'],
    ] as const
    const started = wrong.map(([name, value]) => [name, scene.start(['server'], { env: { [name]: value } })] as const)
    for (const [name, process] of started) {
      expect(await process.end()).toBe(2)
      expectOneLine(process, new RegExp(`^linksocks: ${name}: `))
    }
  })

  it('ends with 1 when its port is in use', async () => {
    const port = await echoTarget(scene)
    const server = scene.start(['server', '-t', 'x', '-H', '127.0.0.1', '-P', `${port}`])
    const reverse = scene.start(['server', '-r', '-t', 'x', '-H', '127.0.0.1', '-P', '0', '-p', `${port}`])
    const { url } = await scene.server(['-t', 'F'])
    const client = scene.start(['client', '-t', 'F', '-u', url, '-p', `${port}`])
    expect(await server.end()).toBe(1)
    expectOneLine(server, /^linksocks: --ws-port: .*in use/)
    expect(await client.end()).toBe(1)
    expectOneLine(client, /^linksocks: --socks-port: .*in use/)
    expect(await reverse.end()).toBe(1)
    expectOneLine(reverse, /^linksocks: --socks-port: /)
  })

  it('ends with 3 when the server refuses the token', async () => {
    const { url } = await scene.server(['-t', 'F'])
    const clients = ['client', 'provider'].map((role) => scene.start([role, '-t', 'wrong', '-u', url, '-p', '0']))
    for (const client of clients) {
      expect(await client.end()).toBe(3)
      expectOneLine(client, /^linksocks: --token: .*invalid token/)
    }
  })

  it('goes on after a refused token with --retry-auth', async () => {
    const { url } = await scene.server(['-t', 'F'])
    const client = scene.start(['client', '-t', 'wrong', '-u', url, '-p', '0', '--retry-auth', '--log-format', 'json'])
    const { delayMs } = await client.event('link.retry', { code: 'ERR_AUTH_REJECTED' })
    expect(delayMs).toBeGreaterThanOrEqual(30_000)
    expect(await client.end('SIGTERM')).toBe(0)
  })

  it('ends with 1 with -R when there is no server, and when the link is lost', async () => {
    const client = scene.start(['client', '-t', 'F', '-u', `ws://127.0.0.1:${await freePort()}`, '-p', '0', '-R'])
    const server = await scene.server(['-t', 'F', '-k', 'key of the tests'])
    const linked = await scene.listener(server.url, ['-t', 'F', '-R'])
    expect(await client.end()).toBe(1)
    expectOneLine(client, /^linksocks: --url: /)
    server.process.kill('SIGKILL')
    expect(await linked.process.end()).toBe(1)
    expect(linked.process.events('cli.failed')).toMatchObject([{ code: 'ERR_LINK_LOST', exit: 1 }])
  })

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)(
    'ends with 0 on %s, in every role and before its first link',
    async (signal) => {
      // the stream stays open
      const drain = ['--drain-timeout', '200ms']
      const nowhere = `ws://127.0.0.1:${await freePort()}`
      const trying = scene.start(['client', '-u', nowhere, '--log-format', 'json', '-p', '0'])
      const { process: server, url } = await scene.server(['-r', '-a', '-t', 'P', ...drain])
      const provider = await scene.provider(url, ['-t', 'P', '-c', 'C', ...drain])
      await provider.event('connector.registered')
      const connector = await scene.listener(url, ['-t', 'C', ...drain])
      await socksConnect(scene, connector.socksPort, ['127.0.0.1', await echoTarget(scene)])
      await trying.event('link.retry')
      for (const process of [trying, connector.process, provider, server]) expect(await process.end(signal)).toBe(0)
    },
  )

  it('goes on at a hang-up without a terminal, and opens no inspector on SIGUSR1', async () => {
    const { process: server, url } = await scene.server(['-t', 'F'])
    server.kill('SIGHUP')
    server.kill('SIGUSR1')
    const { socksPort } = await scene.listener(url, ['-t', 'F'])
    // after both signals: the process reads and answers
    const stream = await socksConnect(scene, socksPort, ['127.0.0.1', await echoTarget(scene)])
    stream.destroy()
    expect(server.stderr).not.toContain('Debugger')
    expect(await server.end('SIGTERM')).toBe(0)
  })

  it('generates tokens that nobody chose, prints each once, and lets them in', async () => {
    const { process, url } = await scene.server(['-r', '-p', `${await freePort()}`])
    const tokenOf = async (type: string): Promise<string> => {
      const { token } = await process.event('token.generated', { type })
      expect(process.stderr.split(String(token)).length - 1).toBe(1)
      return String(token)
    }
    await Promise.all([
      scene.provider(url, ['-t', await tokenOf('reverse')]),
      scene.listener(url, ['-t', await tokenOf('connector')]),
    ])
  })

  it('takes all it needs from the environment, a flag winning over its variable', async () => {
    const port = await freePort()
    const server = scene.start(['server', '--log-format', 'json', '-P', `${port}`], {
      env: {
        LINKSOCKS_TOKEN_FILE: scene.file('secret from a file\n'),
        LINKSOCKS_API_KEY_FILE: scene.file('key of the tests\n'),
        LINKSOCKS_WEBSOCKET_HOST: '127.0.0.1',
        LINKSOCKS_WEBSOCKET_PORT: '1',
      },
    })
    await server.event('server.ready', { address: `127.0.0.1:${port}` })
    const url = `ws://127.0.0.1:${port}`
    const response = await api({ process: server, port, url }, 'GET', 'status')
    expect(await response.json()).toMatchObject({ tokens: [{ token: 'secret from a file' }] })

    const socksPort = await freePort()
    const client = scene.start([], {
      env: {
        LINKSOCKS_MODE: 'client',
        LINKSOCKS_URL: url,
        LINKSOCKS_TOKEN: 'secret from a file',
        LINKSOCKS_SOCKS_PORT: `${socksPort}`,
        LINKSOCKS_SOCKS_USERNAME: 'ann',
        LINKSOCKS_SOCKS_PASSWORD: 'open sesame',
      },
    })
    const target = ['127.0.0.1', await echoTarget(scene)] as const
    const open = () => socksConnect(scene, socksPort, target, { credentials: ['ann', 'open sesame'] })
    const socket = await eventually('open SOCKS5 port', () => open().catch(() => undefined))
    socket.end('by environment')
    expect((await readAll(socket)).toString()).toBe('by environment')
    expect(server.stderr + client.stderr).not.toMatch(/secret from a file|open sesame|key of the tests/)
  })
})
