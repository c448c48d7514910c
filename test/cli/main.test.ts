import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/main.js'
import { type ErrorCode, LinkSocksError } from '../../src/errors.js'
import { until } from '../support/wait.js'
import { FakeIo, FakeLibrary, run } from './harness.js'

const failWith =
  (code: ErrorCode, message = 'the cause') =>
  async (): Promise<void> => {
    throw new LinkSocksError(code, message)
  }

describe('commands', () => {
  it.each([
    [['serve'], 'linksocks: serve: unknown command (did you mean server?)'],
    [['server', 'extra-secret'], 'linksocks: every value needs a flag before it; see --help'],
    [['server', '--tokn=hunter2'], 'linksocks: --tokn: unknown flag'],
    [['server', '--tokn', 'hunter2'], 'linksocks: --tokn: unknown flag (did you mean --token?)'],
    [['server', '-zhunter2'], 'linksocks: -z: unknown flag'],
    [['client', '--ws-port', '1'], 'linksocks: --ws-port: unknown flag'],
    [['server', '-p'], 'linksocks: --socks-port: needs a value'],
    [['server', '--api-key'], 'linksocks: --api-key: needs a value'],
    [['client', '--insecure=yes'], 'linksocks: --insecure: takes no value'],
    [['help', 'serve'], 'linksocks: help: unknown command; linksocks --help lists them'],
    [['-t', 'hunter2'], 'linksocks: which command: server, client, provider or connector? (or set LINKSOCKS_MODE)'],
  ])('%j is a usage error', async (argv, line) => {
    const { code, io } = await run(argv)
    expect(code).toBe(2)
    expect(io.err).toBe(`${line}\n`)
    expect(io.out).toBe('')
  })

  it('escape what could act on a terminal', async () => {
    const { io } = await run(['\u001b[2J'])
    expect(io.err).not.toContain('\u001b')
  })

  it.each([
    ['server', 'server', false],
    ['client', 'client', false],
    ['connector', 'client', false],
    ['provider', 'client', true],
    [' Provider ', 'client', true],
  ] as const)('come from LINKSOCKS_MODE=%s when none is given', async (mode, kind, reverse) => {
    for (const argv of [[], ['-t', 'tok']]) {
      const { code, fake } = await run(argv, { LINKSOCKS_MODE: mode, LINKSOCKS_TOKEN: 'tok' })
      expect(code).toBe(0)
      expect(fake[kind]).toBeDefined()
      if (kind === 'client') expect(fake.client).toMatchObject({ token: 'tok', reverse })
    }
  })

  it('win over LINKSOCKS_MODE', async () => {
    const { fake } = await run(['client'], { LINKSOCKS_MODE: 'server' })
    expect(fake.client).toBeDefined()
    expect((await run(['--help'], { LINKSOCKS_MODE: 'server' })).io.out).toContain('Usage: linksocks <command>')
  })

  it.each(['relay', 'version', 'help'])('refuse LINKSOCKS_MODE=%s', async (mode) => {
    const { code, io } = await run([], { LINKSOCKS_MODE: mode })
    expect(code).toBe(2)
    expect(io.err).toBe('linksocks: LINKSOCKS_MODE: must be server, client, provider or connector\n')
  })
})

describe('exit code', () => {
  it.each(['server', 'client', 'provider', 'connector'])(
    'of %s is 0 after a signal, everything closed',
    async (command) => {
      const { code, fake, io } = await run([command, '-t', 'tok'])
      expect(code).toBe(0)
      expect(fake.calls).toEqual(['start', 'close'])
      expect(io.err).toContain('info cli.stopping signal=SIGINT')
      expect(io.listeners.size).toBe(0)
    },
  )

  it.each([
    ['ERR_AUTH_REJECTED', 3, 'linksocks: --token: the cause\n'],
    ['ERR_LISTEN', 1, 'linksocks: --socks-host: the cause\n'],
    ['ERR_CONNECT', 1, 'linksocks: --url: the cause\n'],
    ['ERR_LINK_LOST', 1, 'linksocks: the cause\n'],
    ['ERR_URL', 2, 'linksocks: --url: the cause\n'],
    ['ERR_OPTION', 2, 'linksocks: the cause\n'],
  ] as const)('of a client is, for %s, %d', async (code, exit, line) => {
    const atStart = await run(['client'], {}, { start: failWith(code) })
    expect([atStart.code, atStart.io.err]).toEqual([exit, line])
    expect(atStart.fake.calls).toEqual(['start', 'close'])
    const closed = Promise.resolve(new LinkSocksError(code, 'the cause'))
    const later = await run(['client'], {}, { closed, start: () => new Promise(() => {}) })
    expect([later.code, later.io.err]).toEqual([exit, line])
  })

  it.each([
    ['ERR_LISTEN', 1, 'linksocks: --ws-host: the cause\n'],
    ['ERR_PORT_UNAVAILABLE', 1, 'linksocks: --socks-port: the cause\n'],
    ['ERR_TOKEN_EXISTS', 2, 'linksocks: the cause\n'],
  ] as const)('of a server is, for %s, %d', async (code, exit, line) => {
    const { code: actual, io } = await run(['server'], {}, { start: failWith(code) })
    expect([actual, io.err]).toEqual([exit, line])
  })

  /** Fails as a reverse token's port does. */
  const unavailable = (reason: string) => async (): Promise<void> => {
    const cause = new LinkSocksError('ERR_LISTEN', reason)
    throw new LinkSocksError('ERR_PORT_UNAVAILABLE', 'port not available', { cause })
  }

  it.each(['the name nosuch does not resolve', '192.0.2.1 is not an address of this machine'])(
    'comes with the address that could not be had: %s',
    async (reason) => {
      const reverse = await run(['server', '-r'], {}, { start: unavailable(reason) })
      expect([reverse.code, reverse.io.err]).toEqual([1, `linksocks: --socks-host: ${reason}\n`])
      const server = await run(['server'], {}, { start: failWith('ERR_LISTEN', reason) })
      expect(server.io.err).toBe(`linksocks: --ws-host: ${reason}\n`)
      const client = await run(['client'], {}, { start: failWith('ERR_LISTEN', reason) })
      expect(client.io.err).toBe(`linksocks: --socks-host: ${reason}\n`)
    },
  )

  it('comes with the port that could not be had', async () => {
    const listen = failWith('ERR_LISTEN', 'port 80 on 0.0.0.0 is already in use')
    const server = await run(['server'], {}, { start: unavailable('port 9870 on 127.0.0.1 is already in use') })
    expect(server.io.err).toBe('linksocks: --socks-port: port 9870 on 127.0.0.1 is already in use\n')
    const busy = await run(['server'], {}, { start: listen })
    expect(busy.io.err).toBe('linksocks: --ws-port: port 80 on 0.0.0.0 is already in use\n')
    const client = await run(['client'], {}, { start: listen })
    expect(client.io.err).toBe('linksocks: --socks-port: port 80 on 0.0.0.0 is already in use\n')
  })

  it.each([
    'cannot reach the proxy http://127.0.0.1:1: 127.0.0.1:1 refused the connection',
    'the proxy http://127.0.0.1:1 gave no connection to relay:80: HTTP 403',
  ])('does not come with --url for: %s', async (message) => {
    const { code, io } = await run(['client'], {}, { start: failWith('ERR_CONNECT', message) })
    expect([code, io.err]).toEqual([1, `linksocks: ${message}\n`])
  })

  it('is not decided by what nobody caught, which is logged', async () => {
    const io = new FakeIo()
    const fake = new FakeLibrary()
    const ended = main(['server', '-t', 'tok'], {}, io, async () => fake.library)
    await until(() => io.err.includes('server.ready'))
    for (const fail of io.failures) fail(new Error('one stream had trouble'))
    expect(io.err).toContain('error process.failure code=ERR_')
    expect(io.err).toContain('one stream had trouble')
    io.signal()
    expect(await ended).toBe(0)
  })

  it('is there at once after a second signal', async () => {
    const io = new FakeIo()
    const fake = new FakeLibrary({ close: () => new Promise(() => {}) })
    const ended = main(['server', '-t', 'tok'], {}, io, async () => fake.library)
    await until(() => io.err.includes('server.ready'))
    io.signal()
    await until(() => fake.calls.length === 2)
    expect(fake.calls).toEqual(['start', 'close'])
    io.signal('SIGTERM')
    expect(await ended).toBe(0)
  })

  it('is 1 when a running client ended for good', async () => {
    let end: (error: LinkSocksError) => void = () => {}
    const closed = new Promise<LinkSocksError>((resolve) => {
      end = resolve
    })
    const io = new FakeIo()
    const fake = new FakeLibrary({ closed })
    const ended = main(['client', '-R'], {}, io, async () => fake.library)
    await until(() => fake.calls.includes('start'))
    end(new LinkSocksError('ERR_LINK_LOST', 'the server went away'))
    expect(await ended).toBe(1)
    expect(io.lines.at(-1)).toBe('linksocks: the server went away')
    expect(fake.calls).toEqual(['start', 'close'])
  })

  it('is 2 when the library refuses an option, and nothing starts', async () => {
    const construct = (): void => {
      throw new LinkSocksError('ERR_OPTION', 'exitProxy is not a proxy')
    }
    for (const command of ['server', 'client']) {
      const { code, io, fake } = await run([command, '-t', 'tok'], {}, { construct })
      expect([code, io.err]).toEqual([2, 'linksocks: exitProxy is not a proxy\n'])
      expect(fake.calls).toEqual([])
    }
  })

  it('is 1, in one line without a stack trace, for what nobody foresaw', async () => {
    const start = async (): Promise<void> => {
      throw new TypeError('x is not\na function')
    }
    const { code, io } = await run(['client'], {}, { start })
    expect([code, io.err]).toEqual([1, 'linksocks: unexpected error: x is not\\u{a}a function\n'])
    const debug = await run(['client', '-d'], {}, { start })
    expect(debug.io.err).toContain('debug cli.trace stack=')
  })
})

describe('errors', () => {
  it('are objects in a JSON log', async () => {
    const { code, io } = await run(['client', '--log-format', 'json'], {}, { start: failWith('ERR_AUTH_REJECTED') })
    expect(code).toBe(3)
    expect(io.lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        level: 'error',
        event: 'cli.failed',
        code: 'ERR_AUTH_REJECTED',
        exit: 3,
        error: '--token: the cause',
      }),
    ])
  })

  it('carry no token hash, whatever the library put into them', async () => {
    const url = `ws://relay/socket?token=${'0a'.repeat(32)}&reverse=true`
    const { io } = await run(['client'], {}, { start: failWith('ERR_CONNECT', `cannot reach ${url}`) })
    expect(io.err).toBe('linksocks: --url: cannot reach ws://relay/socket?[redacted]\n')
  })
})

describe('readiness', () => {
  it('is logged with the address to use', async () => {
    expect((await run(['server', '-t', 'tok'])).io.err).toContain('info server.ready address=0.0.0.0:8765 api=false')
  })
})

describe('the log', () => {
  it('has colours on a terminal only, and not with NO_COLOR', async () => {
    const colour = '\u001b['
    for (const [isTTY, env, expected] of [
      [true, {}, true],
      [true, { NO_COLOR: '1' }, false],
      [true, { NO_COLOR: '' }, true],
      [false, {}, false],
    ] as const) {
      const io = new FakeIo()
      Object.assign(io.stderr, { isTTY })
      const fake = new FakeLibrary({ start: async () => void setImmediate(() => io.signal()) })
      expect(await main(['client'], env, io, async () => fake.library)).toBe(0)
      expect(io.err.includes(colour)).toBe(expected)
    }
  })

  it.each([
    [[], 'info'],
    [['-d'], 'debug'],
    [['-dd'], 'debug'],
    [['--debug', '--debug'], 'debug'],
  ])('with %j shows %s and above', async (argv, least) => {
    const { io, fake } = await run(['client', ...argv])
    fake.client?.logger?.debug('something.small')
    fake.client?.logger?.info('something.big')
    expect(io.err.includes('debug something.small')).toBe(least === 'debug')
    expect(io.err).toContain('info something.big')
  })
})
