import { randomFillSync } from 'node:crypto'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { describeWith, output, run } from '../support/programs/programs.js'
import { fieldOf, type Seen, TOO_LARGE, tellingOrigin } from '../support/programs/telling-origin.js'
import type { ProgramTunnel } from '../support/programs/tunnel.js'
import { allCarried, LOGIN, type WebTunnels, webTunnels } from '../support/programs/web-tunnels.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

/** curl's exit codes: an answer of 400 or more (with -f), and a failure to receive, which a refused CONNECT is. */
const HTTP_ERROR = 22
const CONNECT_REFUSED = 56
/** curl would go on without an answer after a second; the test waits for the answer. */
const PATIENT = ['--expect100-timeout', '1000']

describeWith(['curl', 'openssl'], 'curl by HTTP', () => {
  const scene = sceneOfSuite()
  let web: WebTunnels
  beforeAll(async () => {
    web = await webTunnels(scene, { origin: tellingOrigin })
  })
  const curl = (tunnel: ProgramTunnel, ...args: readonly string[]): readonly string[] => [
    ...['curl', '-sS', '--cacert', web.ca.caFile, '--proxy', `http://${tunnel.address}`],
    ...args,
  ]
  const urlOf = (scheme: 'http' | 'https', path = '/a%20path?a=b&c'): string =>
    `${scheme}://localhost:${(scheme === 'http' ? web.http : web.https).port}${path}`
  const seenBy = async (command: readonly string[], input?: Uint8Array): Promise<Seen> =>
    JSON.parse((await output(scene, command, input && { input })).toString()) as Seen
  /** The three ways to an origin: `-p` asks for CONNECT, which https needs anyway. */
  const WAYS = [
    ['absolute form', 'http', []],
    ['CONNECT', 'http', ['-p']],
    ['CONNECT and TLS', 'https', []],
  ] as const

  describe.each([
    ['forward mode', () => web.forward],
    ['the port of a reverse token', () => web.reverse],
    ['a connector', () => web.agent],
  ] as const)('through %s', (_name, tunnel) => {
    it.each(WAYS)('fetches a page by %s, and the exit looks the name up', async (_way, scheme, args) => {
      const seen = await seenBy(curl(tunnel(), ...args, urlOf(scheme)))
      expect(seen).toMatchObject({ method: 'GET', url: '/a%20path?a=b&c', version: '1.1', bodyBytes: 0 })
      const { port } = scheme === 'http' ? web.http : web.https
      await tunnel().carried(`localhost:${port}`)
    })
  })

  it('brings the origin its own fields, and none for or of the proxy', async () => {
    const own = ['-A', 'a name', '-H', 'X-Odd: 1', '-H', 'X-Odd: 2', '-H', 'X-Hop: 3', '-H', 'Connection: x-hop']
    const { fields } = await seenBy(curl(web.forward, ...own, urlOf('http')))
    expect(fields.filter(([name]) => name !== 'connection')).toEqual([
      ['host', `localhost:${web.http.port}`],
      ['user-agent', 'a name'],
      ['accept', '*/*'],
      ['x-odd', '1'],
      ['x-odd', '2'],
    ])
  })

  it('names no program for a client that does not', async () => {
    const seen = await seenBy(curl(web.forward, '-H', 'User-Agent:', urlOf('http')))
    expect([fieldOf(seen, 'user-agent'), fieldOf(seen, 'via')]).toEqual([undefined, undefined])
  })

  it('fetches pages one after the other on one connection', async () => {
    const before = web.http.connections()
    const said = ['-o', '/dev/null', '-w', '%{http_code} %{num_connects}\\n']
    const urls = ['/1', '/2', '/3'].flatMap((path) => [...said, urlOf('http', path)])
    expect((await output(scene, curl(web.forward, ...urls))).toString()).toBe('200 1\n200 0\n200 0\n')
    expect(web.http.connections() - before).toBe(1)
  })

  it('asks for a head alone', async () => {
    const head = await output(scene, curl(web.forward, '-I', urlOf('http')))
    expect(head.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*Content-Length: [1-9]\d+\r\n(?:.+\r\n)*\r\n$/)
  })

  it.each([
    ['absolute form', () => ['-0']],
    ['CONNECT', () => ['-p', '--proxy1.0', web.forward.address]],
  ])('fetches a page by %s of HTTP/1.0', async (_name, args) => {
    expect(await seenBy(curl(web.forward, ...args(), urlOf('http')))).toMatchObject({ url: '/a%20path?a=b&c' })
  })

  describe('with a body', () => {
    const body = randomFillSync(Buffer.alloc(3 * 1024 * 1024 + 1))
    const digest = sha256(body)

    it.each(WAYS)('posts it with its length by %s', async (_way, scheme, args) => {
      const seen = await seenBy(curl(web.forward, ...args, '--data-binary', '@-', urlOf(scheme)), body)
      expect(seen).toMatchObject({ method: 'POST', bodyBytes: body.length, bodyDigest: digest })
      expect(fieldOf(seen, 'content-length')).toBe(`${body.length}`)
    })

    it.each(WAYS)('puts it in chunks by %s', async (_way, scheme, args) => {
      const seen = await seenBy(curl(web.forward, ...args, '-T', '-', urlOf(scheme)), body)
      expect(seen).toMatchObject({ method: 'PUT', bodyBytes: body.length, bodyDigest: digest })
      expect([fieldOf(seen, 'transfer-encoding'), fieldOf(seen, 'content-length')]).toEqual(['chunked', undefined])
    })

    it.each([
      ['with its length', ['--data-binary', '@-']],
      ['in chunks', ['-T', '-']],
    ] as const)('waits for 100 before it sends it %s', async (_name, args) => {
      const expecting = ['-v', ...PATIENT, '-H', 'Expect: 100-continue', ...args]
      const { code, stdout, stderr } = await run(scene, curl(web.forward, ...expecting, urlOf('http')), { input: body })
      expect([code, JSON.parse(stdout.toString())]).toEqual([
        0,
        expect.objectContaining({ expected: true, bodyDigest: digest }),
      ])
      expect(stderr.match(/^< HTTP\/1\.1 (\d+)/gm)).toEqual(['< HTTP/1.1 100', '< HTTP/1.1 200'])
    })

    it('does not send it to an origin that refuses it', async () => {
      const expecting = [...PATIENT, '-H', 'Expect: 100-continue', '-T', '-']
      const said = ['-w', ' %{http_code} %{size_upload}']
      const url = urlOf('http', TOO_LARGE)
      expect((await output(scene, curl(web.forward, ...expecting, ...said, url), { input: body })).toString()).toBe(
        'too large 413 0',
      )
    })
  })

  describe('with a password', () => {
    const login = (password: string): readonly string[] => ['--proxy-user', `${LOGIN[0]}:${password}`]

    it.each(WAYS)('fetches a page by %s', async (_way, scheme, args) => {
      const seen = await seenBy(curl(web.closed, ...args, ...login(LOGIN[1]), '-u', 'bob:other', urlOf(scheme)))
      expect(fieldOf(seen, 'proxy-authorization')).toBeUndefined()
      expect(fieldOf(seen, 'authorization')).toBe(`Basic ${Buffer.from('bob:other').toString('base64')}`)
    })

    it.each(WAYS)('asks first how to present it by %s', async (_way, scheme, args) => {
      const anyway = ['--proxy-anyauth', ...login(LOGIN[1])]
      expect(await seenBy(curl(web.closed, ...args, ...anyway, urlOf(scheme)))).toMatchObject({ method: 'GET' })
    })

    const refused = [
      ['a wrong one', login('wrong')],
      ['none', []],
    ] as const
    it.each(refused)('is refused in absolute form with %s', async (_name, credentials) => {
      const before = web.http.connections()
      const { code, stdout, stderr } = await run(scene, curl(web.closed, '-i', '-f', ...credentials, urlOf('http')))
      expect([code, stderr]).toEqual([HTTP_ERROR, expect.stringContaining('407')])
      expect(stdout.toString()).toContain('\r\nProxy-Authenticate: Basic realm="LinkSocks", charset="UTF-8"\r\n')
      expect(web.http.connections()).toBe(before)
    })

    it.each(refused)('is refused by CONNECT with %s', async (_name, credentials) => {
      const before = web.https.connections()
      const { code, stdout, stderr } = await run(scene, curl(web.closed, ...credentials, urlOf('https')))
      expect([code, stderr]).toEqual([CONNECT_REFUSED, expect.stringContaining('407')])
      expect(stdout).toHaveLength(0)
      expect(web.https.connections()).toBe(before)
    })
  })

  describe('of a target that can not be reached', () => {
    const said = ['-o', '/dev/null', '-w', '%{http_code} %{http_connect} %header{proxy-status}']
    it.each([
      ['a port that refuses', '127.0.0.1', 'connection_refused'],
      ['a name that does not resolve', 'nope.invalid', 'destination_ip_unroutable'],
    ] as const)('hears of %s', async (_name, host, error) => {
      const url = `http://${host}:${await freePort()}/`
      const plain = await output(scene, curl(web.forward, ...said, url))
      expect(plain.toString()).toBe(`502 000 linksocks; error=${error}`)
      const { code, stdout, stderr } = await run(scene, curl(web.forward, '-p', ...said, url))
      expect(stdout.toString()).toMatch(/^000 502 /)
      expect([code, stderr]).toEqual([CONNECT_REFUSED, expect.stringContaining('502')])
    })

    it('trusts no server whose authority it does not know', async () => {
      const url = urlOf('https')
      const { code, stderr } = await run(scene, ['curl', '-sS', '--proxy', `http://${web.forward.address}`, url])
      expect([code, stderr]).toEqual([60, expect.stringContaining('SSL certificate problem')])
    })
  })

  it('made every connection to the origins through the tunnels', async () => {
    await allCarried(web, ['localhost'])
  })
})
