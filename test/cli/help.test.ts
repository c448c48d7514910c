import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../src/cli/command-line.js'
import { FakeIo, run } from './harness.js'

function helpOf(...argv: string[]): string {
  const io = new FakeIo()
  expect(parseCommandLine(argv, {}, io)).toBeUndefined()
  expect(io.err).toBe('')
  return io.out
}

const SERVER = [
  '-t, --token <',
  '--token-file <',
  '-c, --connector-token <',
  '-a, --connector-autonomy',
  '-r, --reverse',
  '-H, --ws-host <',
  '-P, --ws-port <',
  '-s, --socks-host <',
  '-p, --socks-port <',
  '-n, --socks-username <',
  '-w, --socks-password <',
  '-i, --socks-nowait',
  '--socks-no-wait',
  '-k, --api-key <',
  '--api-key-file <',
  '-b, --buffer-size <',
  '-x, --upstream-proxy <',
  '-f, --fast-open',
  '-d, --debug',
  '-dd',
  '--connector-wait-provider <',
  '--trusted-proxy <',
  '--port-range <',
  '--udp-timeout <',
  '--ping-interval <',
  '--ping-timeout <',
  '--log-format <',
  '-h, --help',
]
const SERVER_VARIABLES = [
  'LINKSOCKS_TOKEN',
  'LINKSOCKS_TOKEN_FILE',
  'LINKSOCKS_CONNECTOR_TOKEN',
  'LINKSOCKS_CONNECTOR_TOKEN_FILE',
  'LINKSOCKS_CONNECTOR_AUTONOMY',
  'LINKSOCKS_WEBSOCKET_HOST',
  'LINKSOCKS_WEBSOCKET_PORT',
  'LINKSOCKS_SOCKS_HOST',
  'LINKSOCKS_SOCKS_PORT',
  'LINKSOCKS_SOCKS_USERNAME',
  'LINKSOCKS_SOCKS_PASSWORD',
  'LINKSOCKS_SOCKS_PASSWORD_FILE',
  'LINKSOCKS_API_KEY',
  'LINKSOCKS_API_KEY_FILE',
  'LINKSOCKS_UPSTREAM_PROXY',
  'LINKSOCKS_FASTOPEN',
]
const EVERY_CLIENT = [
  '-t, --token <',
  '--token-file <',
  '-u, --url <',
  '-R, --no-reconnect',
  '--retry-auth',
  '-T, --threads <',
  '-E, --no-env-proxy',
  '--server-proxy <',
  '--ca-file <',
  '--header <',
  '--server-name <',
  '--insecure',
  '--auth-in-band',
  '--ping-interval <',
  '--ping-timeout <',
  '-d, --debug',
  '--log-format <',
  'LINKSOCKS_TOKEN,',
  'LINKSOCKS_TOKEN_FILE',
  'LINKSOCKS_URL',
  'LINKSOCKS_RETRY_AUTH',
]
const LISTENER = [
  '-s, --socks-host <',
  '-p, --socks-port <',
  '-n, --socks-username <',
  '-w, --socks-password <',
  '-i, --socks-nowait',
  '-f, --fast-open',
  'LINKSOCKS_SOCKS_HOST',
  'LINKSOCKS_SOCKS_PORT',
  'LINKSOCKS_SOCKS_USERNAME',
  'LINKSOCKS_SOCKS_PASSWORD',
  'LINKSOCKS_SOCKS_PASSWORD_FILE',
  'LINKSOCKS_FASTOPEN',
  'LINKSOCKS_PAC_HOST',
]
const PROVIDER = [
  '-c, --connector-token <',
  '-x, --upstream-proxy <',
  '--udp-timeout <',
  'LINKSOCKS_CONNECTOR_TOKEN',
  'LINKSOCKS_UPSTREAM_PROXY',
]

const DOCUMENTED: Readonly<Record<string, readonly string[]>> = {
  server: [...SERVER, ...SERVER_VARIABLES],
  client: [...EVERY_CLIENT, ...LISTENER, ...PROVIDER, '-r, --reverse'],
  provider: [...EVERY_CLIENT, ...PROVIDER],
  connector: [...EVERY_CLIENT, ...LISTENER],
}

describe('help', () => {
  const texts = Object.entries(DOCUMENTED).flatMap(([command, all]) => all.map((text) => [command, text] as const))

  it.each(texts)('of %s documents %s', (command, text) => {
    expect(helpOf(command, '--help')).toContain(text)
  })

  it.each(Object.keys(DOCUMENTED))('of %s has examples and says which value wins', (command) => {
    const help = helpOf(command, '-h')
    expect(help).toMatch(new RegExp(`Examples:[^]*linksocks ${command} `))
    expect(help).toContain('A flag wins over its variable')
    expect(help).toBe(helpOf('help', command))
  })

  it.each([
    ['provider', '--socks-port'],
    ['provider', '--reverse'],
    ['connector', '--upstream-proxy'],
    ['connector', '--connector-token'],
  ])('of %s leaves out %s, which means nothing there', (command, text) => {
    expect(helpOf(command, '--help')).not.toContain(text)
  })

  it.each(Object.keys(DOCUMENTED))('of %s leaves out the flags that only deployed versions use', (command) => {
    expect(helpOf(command, '--help')).not.toMatch(/--direct|--stun|--transport-grace/)
  })

  it.each([...Object.keys(DOCUMENTED), 'token add', 'token set'])(
    'of %s calls a proxy port by this name',
    (command) => {
      expect(helpOf(...command.split(' '), '--help')).not.toMatch(/SOCKS5? ports?\b/)
    },
  )

  it('names defaults', () => {
    const server = helpOf('server', '--help')
    for (const value of ['0.0.0.0', '8765', '127.0.0.1', '9870', '10000-19999', '5s', '5m'])
      expect(server).toContain(value)
    expect(helpOf('client', '--help')).toContain('ws://localhost:8765')
  })

  it('of the program names all commands, the way to more, and the variable for the command', () => {
    const help = helpOf('--help')
    for (const word of [...Object.keys(DOCUMENTED), 'version', 'LINKSOCKS_MODE', 'linksocks server --help']) {
      expect(help).toContain(word)
    }
    expect(helpOf('help')).toBe(help)
    expect(helpOf('-h')).toBe(help)
  })

  it('keeps every line within the terminal', () => {
    for (const columns of [60, 80, 120]) {
      const io = new FakeIo()
      const base = { stderr: io.stderr, onSignal: () => () => {}, onFailure: () => {} }
      parseCommandLine(['--help'], {}, { ...base, stdout: { ...io.stdout, columns } })
      const longest = Math.max(...io.out.split('\n').map((line) => line.length))
      expect(longest).toBeLessThanOrEqual(Math.max(columns, 100))
    }
  })

  it.each([['--help'], ['server', '--help'], ['help', 'client'], ['version'], ['--version'], ['-V']])(
    'and version end with 0 and write nothing to standard error: %s %s',
    async (...argv) => {
      const { code, io, fake } = await run(argv.filter((word) => word !== undefined))
      expect(code).toBe(0)
      expect(io.err).toBe('')
      expect(io.out).not.toBe('')
      expect(fake.calls).toEqual([])
    },
  )

  it('prints the version as one line', async () => {
    const { io } = await run(['version'])
    expect(io.out).toMatch(/^linksocks \d+\.\d+\.\d+\n$/)
    expect((await run(['-V'])).io.out).toBe(io.out)
  })

  it('goes to standard error, with exit code 2, when nothing was asked for', async () => {
    const { code, io } = await run([])
    expect(code).toBe(2)
    expect(io.out).toBe('')
    expect(io.err).toBe(helpOf('--help'))
  })
})
