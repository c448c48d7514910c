import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { main } from '../../../src/cli/main.js'
import { MAX_ANSWER_BYTES, MAX_LIST_BYTES, MAX_PAGES } from '../../../src/cli/manage/api-client.js'
import { FakeIo, FakeLibrary, run, temporaryFile } from '../harness.js'
import { type Answerer, failed, fakeApi, KEY, page, type Reply, routes, tokenOf } from './fake-api.js'

const tls = (name: string): string => readFileSync(new URL(`../../support/tls/${name}`, import.meta.url), 'utf8')
const LIST = 'GET /api/tokens?limit=1000'
const EMPTY = routes({ [LIST]: page('tokens', []) })

async function outcome(
  answer: Answerer,
  argv: readonly string[] = ['token', 'list'],
): Promise<readonly [number, string]> {
  const { url } = await fakeApi(answer)
  const { code, io } = await run([...argv, '-k', KEY, '-u', url])
  expect(io.out).toBe('')
  expect(io.lines).toHaveLength(1)
  return [
    code,
    io.err
      .trimEnd()
      .replaceAll(url, 'URL')
      .replace(/^linksocks: /, ''),
  ]
}

const always =
  (reply: Reply): Answerer =>
  () =>
    reply

describe('commands for a running server', () => {
  it('send the key from flag, file or variable', async () => {
    const { url, calls } = await fakeApi(EMPTY)
    const file = temporaryFile(`${KEY}\n`)
    const ways: readonly (readonly [string[], Record<string, string>])[] = [
      [['-k', KEY], { LINKSOCKS_API_KEY: 'other' }],
      [['--api-key-file', file], {}],
      [[], { LINKSOCKS_API_KEY: KEY }],
      [[], { LINKSOCKS_API_KEY_FILE: file }],
    ]
    for (const [argv, env] of ways) {
      const { code, io } = await run(['token', 'list', ...argv], { LINKSOCKS_API_URL: url, ...env })
      expect([code, io.out, io.err]).toEqual([0, 'no tokens\n', ''])
    }
    expect(calls.map(({ key }) => key)).toEqual([KEY, KEY, KEY, KEY])
  })

  it.each([
    ['', '/api/tokens?limit=1000'],
    ['/', '/api/tokens?limit=1000'],
    ['/socket', '/api/tokens?limit=1000'],
    ['/relay', '/relay/api/tokens?limit=1000'],
    ['/relay/', '/relay/api/tokens?limit=1000'],
    ['/a/b/socket', '/a/b/api/tokens?limit=1000'],
  ])('keep the path %j before that of the API', async (path, expected) => {
    const { url, calls } = await fakeApi(always(page('tokens', [])))
    for (const base of [url, url.replace('http', 'ws')]) {
      expect((await run(['token', 'list', '-k', KEY, '-u', `${base}${path}`])).code).toBe(0)
    }
    expect(calls.map((call) => call.url)).toEqual([expected, expected])
  })

  it('follow every page', async () => {
    const { url, calls } = await fakeApi(
      routes({
        [LIST]: page('tokens', [tokenOf()], 'a b'),
        [`${LIST}&after=a%20b`]: page('tokens', [tokenOf({ label: 'second' })], 'z'),
        [`${LIST}&after=z`]: page('tokens', []),
      }),
    )
    const { io } = await run(['token', 'list', '-k', KEY, '-u', url])
    expect(calls).toHaveLength(3)
    expect(io.out.split('\n')).toHaveLength(4)
    expect(io.out).toContain('second')
  })

  it('give a list up that does not end', async () => {
    let pages = 0
    const endless = (): Reply => {
      pages += 1
      return page('tokens', [], `${pages}`)
    }
    expect(await outcome(endless)).toEqual([1, 'URL: the list of tokens does not end'])
    expect(pages).toBe(MAX_PAGES)
  })

  it('give a list up whose pages are too long together', async () => {
    let pages = 0
    const long = (): Reply => {
      pages += 1
      const start = `{"tokens":[],"next":"${pages}","more":"`
      return { body: `${start}${'x'.repeat(MAX_ANSWER_BYTES - start.length - 2)}"}` }
    }
    expect(await outcome(long)).toEqual([1, 'URL: the list of tokens does not end'])
    expect(pages).toBe(MAX_LIST_BYTES / MAX_ANSWER_BYTES + 1)
  })

  it.each([
    [MAX_ANSWER_BYTES, [0, '']],
    [MAX_ANSWER_BYTES + 1, [1, `linksocks: the answer is longer than ${MAX_ANSWER_BYTES} bytes\n`]],
  ])('take an answer of %d bytes: %j', async (bytes, expected) => {
    const start = '{"tokens":[],"next":null,"more":"'
    const body = `${start}${'x'.repeat(bytes - start.length - 2)}"}`
    const { url } = await fakeApi(always({ body }))
    const { code, io } = await run(['token', 'list', '-k', KEY, '-u', url])
    expect([code, io.err]).toEqual(expected)
  })

  const REFUSALS: readonly (readonly [Reply, number, string])[] = [
    [failed(401, 'invalid API key'), 3, '--api-key: URL refuses this API key'],
    [{ status: 401, body: '<html>' }, 3, '--api-key: URL refuses this API key'],
    [failed(403, 'this API key may only read'), 3, '--api-key: this API key may only read'],
    [failed(404, 'API is not enabled'), 1, 'the server at URL runs without its API: start it with --api-key'],
    [failed(409, 'token already exists'), 1, 'the server refused it: token already exists'],
    [failed(200, 'token already exists'), 1, 'the server refused it: token already exists'],
    [
      failed(429, 'too many'),
      1,
      'the server takes no call from here for now, after too many wrong API keys: wait a minute',
    ],
    [failed(503, 'server is shutting down'), 1, 'the server refused it: server is shutting down'],
    [
      failed(507, 'not stored'),
      1,
      "not stored, nothing was changed: the server can't write to its data directory (full disk?)",
    ],
    [failed(500, 'a\u001b[2Jb'), 1, 'the server refused it: a\\u{1b}[2Jb'],
    [{ status: 404, body: 'nothing' }, 1, '--url: URL is no LinkSocks server with this API: it answered 404'],
    [{ status: 502, body: '<html>' }, 1, '--url: URL is no LinkSocks server with this API: it answered 502'],
    [{ body: '<html>' }, 1, '--url: URL is no LinkSocks server with this API: its answer is of another kind'],
    [{ body: { tokens: 7 } }, 1, '--url: URL is no LinkSocks server with this API: its answer is of another kind'],
    [page('tokens', [{}]), 1, '--url: URL is no LinkSocks server with this API: its answer is of another kind'],
    [
      { status: 301, headers: { location: 'https://other.example/api/tokens?key=secret' } },
      1,
      '--url: URL redirects to https://other.example, which does not get the API key: if that is right, name it instead',
    ],
    [
      { status: 302 },
      1,
      '--url: URL redirects to another address, which does not get the API key: if that is right, name it instead',
    ],
  ]

  it.each(REFUSALS)('tell of %j in one line, with exit code %d', async (reply, code, line) => {
    expect(await outcome(always(reply))).toEqual([code, line])
  })

  it('name the variable that holds a refused key', async () => {
    const { url } = await fakeApi(EMPTY)
    const { code, io } = await run(['status'], { LINKSOCKS_API_KEY: 'hunter2', LINKSOCKS_API_URL: url })
    expect([code, io.err]).toEqual([3, `linksocks: LINKSOCKS_API_KEY: ${url} refuses this API key\n`])
  })

  it('tell that nobody listens, that no HTTP comes, or that nothing comes in time', async () => {
    const server = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('SSH-2.0-x\r\n'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    const tell = async (...argv: string[]): Promise<readonly [number, string]> => {
      const { code, io } = await run(['status', '-k', KEY, ...argv])
      return [code, io.err.trimEnd()]
    }
    expect(await tell('-u', url)).toEqual([1, `linksocks: --url: no answer from ${url}: the answer is not HTTP`])
    await new Promise((resolve) => server.close(resolve))
    expect(await tell('-u', url)).toEqual([
      1,
      `linksocks: --url: cannot reach ${url}: ${url.slice('http://'.length)} refused the connection`,
    ])
    const silent = await fakeApi(() => undefined)
    expect(await tell('-u', silent.url, '--timeout', '200ms')).toEqual([
      1,
      `linksocks: --url: ${silent.url} gave no answer within 0.2 s (--timeout)`,
    ])
    const { code, io } = await run([
      ...['token', 'add', '--type', 'forward', '-k', KEY, '-u', silent.url, '--timeout', '200ms'],
    ])
    expect([code, io.err]).toEqual([1, expect.stringContaining('(--timeout): it may have been done all the same')])
  })

  it('check the certificate as the client does', async () => {
    const { url } = await fakeApi(EMPTY, { key: tls('server.key'), cert: tls('server.pem') })
    const ca = temporaryFile(tls('ca.pem'))
    const list = ['token', 'list', '-k', KEY, '-u', url]
    expect((await run([...list, '--ca-file', ca])).code).toBe(0)
    expect((await run([...list, '--insecure'])).code).toBe(0)
    const untrusted = await run(list)
    expect([untrusted.code, untrusted.io.err]).toEqual([1, expect.stringMatching(/^linksocks: .*is not trusted/)])
    const other = await run([...list, '--ca-file', ca, '--server-name', 'other.test'])
    expect([other.code, other.io.err]).toEqual([1, expect.stringContaining('the certificate is for another name')])
  })

  it('end with a signal, and listen for none afterwards', async () => {
    const io = new FakeIo()
    const { url, calls } = await fakeApi(() => {
      setImmediate(() => io.signal())
      return undefined
    })
    const code = await main(['status', '-k', KEY, '-u', url], {}, io, async () => new FakeLibrary().library)
    expect([code, io.err, calls.length]).toEqual([1, 'linksocks: interrupted\n', 1])
    expect(io.listeners.size).toBe(0)
  })

  it.each([
    [['status'], '--api-key: is needed, or --api-key-file, LINKSOCKS_API_KEY or LINKSOCKS_API_KEY_FILE'],
    [['status', '-k', ''], '--api-key: must be 1 to 1024 ASCII characters without blanks at its ends'],
    [['status', '-k', KEY, '-u', 'ftp://a'], '--url: a server URL begins with ws://, wss://, http:// or https://'],
    [['status', '-k', KEY, '-u', 'http://ann:hunter2@a'], '--url: a server URL has no user:password@'],
    [['status', '-k', KEY, '-u', 'http://a/?hunter2'], '--url: must have no ?query'],
    [['status', '-k', KEY, '--timeout', '0'], '--timeout: must be a duration from 0.1s to 24h'],
    [['status', '-k', KEY, '--ca-file', '/x/y'], '--ca-file: cannot read the file (ENOENT)'],
    [['token'], 'token: which command: list, show, add, set, check, usage or rm? See --help'],
    [['token', 'ad'], 'ad: unknown command (did you mean add?)'],
    [['token', 'rm'], '<id-or-token> is missing; see --help'],
    [['token', 'list', 'x'], 'every value needs a flag before it; see --help'],
    [['completion'], '<shell> is missing; see --help'],
    [['completion', 'tcsh'], "completion: must be bash, zsh or fish, not 'tcsh'"],
    [['token', 'list', '--json=x'], '--json: takes no value'],
  ])('%j is a usage error', async (argv, line) => {
    const { code, io } = await run(argv)
    expect([code, io.out, io.lines.length]).toEqual([2, '', 1])
    expect(io.err).toContain(`linksocks: ${line}`)
    expect(io.err).not.toContain('hunter2')
  })
})
