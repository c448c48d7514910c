import { randomFillSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { type LocalCa, localCa } from '../support/programs/ca.js'
import { contentListener, type Origin, origin } from '../support/programs/origin.js'
import { describeWith, folder, output, run } from '../support/programs/programs.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const content = randomFillSync(Buffer.alloc(64 * 1024 * 1024))
const digest = sha256(content)
const LOGIN = ['ann', 'open sesame'] as const
/** curl's exit code for a proxy that said no (CURLE_PROXY). */
const PROXY_ERROR = 97

describeWith(['curl', 'openssl'], 'curl', () => {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let http: Origin
  let https: Origin
  let open: ProgramTunnel
  let closed: ProgramTunnel
  beforeAll(async () => {
    ca = await localCa(scene)
    http = await origin(scene, contentListener(content))
    https = await origin(scene, contentListener(content), ca)
    open = await ProgramTunnel.start(scene, 'forward')
    closed = await ProgramTunnel.start(scene, 'agent', { listenerArgs: ['-n', LOGIN[0], '-w', LOGIN[1]] })
  })
  const curl = (...args: readonly string[]): readonly string[] => ['curl', '-sS', '--cacert', ca.caFile, ...args]
  const proxyOf = (scheme: string, tunnel: ProgramTunnel, login?: readonly [string, string]): readonly string[] => [
    '--proxy',
    `${scheme}://${tunnel.address}`,
    ...(login === undefined ? [] : ['--proxy-user', login.join(':')]),
  ]

  describe.each([
    ['without a password', () => open, undefined],
    ['with user name and password', () => closed, LOGIN],
  ] as const)('%s', (_name, tunnel, login) => {
    it.each(['http', 'https'] as const)('fetches a page by socks5 and %s: curl looks the name up', async (scheme) => {
      const { port } = scheme === 'http' ? http : https
      const url = `${scheme}://localhost:${port}/hello/socks5`
      const text = await output(scene, curl('-4', ...proxyOf('socks5', tunnel(), login), url))
      expect(text.toString()).toBe('hello socks5')
      await tunnel().carried(`127.0.0.1:${port}`)
    })

    it.each(['http', 'https'] as const)(
      'fetches a page by socks5h and %s: the exit looks the name up',
      async (scheme) => {
        const { port } = scheme === 'http' ? http : https
        const url = `${scheme}://localhost:${port}/hello/socks5h`
        const text = await output(scene, curl(...proxyOf('socks5h', tunnel(), login), url))
        expect(text.toString()).toBe('hello socks5h')
        await tunnel().carried(`localhost:${port}`)
      },
    )
  })

  it('is refused with a wrong password', async () => {
    const url = `http://127.0.0.1:${http.port}/hello/nobody`
    const { code, stdout, stderr } = await run(scene, curl(...proxyOf('socks5h', closed, ['ann', 'wrong']), url))
    expect(stdout).toHaveLength(0)
    expect(stderr).toContain('User was rejected by the SOCKS5 server')
    expect(code).toBe(PROXY_ERROR)
  })

  it('is refused without a password', async () => {
    const { code, stderr } = await run(scene, curl(...proxyOf('socks5h', closed), `http://127.0.0.1:${http.port}/`))
    expect(stderr).toContain('No authentication method was acceptable')
    expect(code).toBe(PROXY_ERROR)
  })

  it('trusts no server behind the tunnel whose authority it does not know', async () => {
    const url = `https://localhost:${https.port}/hello/x`
    const { code, stderr } = await run(scene, ['curl', '-sS', ...proxyOf('socks5h', open), url])
    expect(stderr).toContain('SSL certificate problem')
    expect(code).toBe(60)
  })

  it('says "connection refused" of a port that refuses', async () => {
    const url = `http://127.0.0.1:${await freePort()}/`
    const { code, stderr } = await run(scene, curl(...proxyOf('socks5h', open), url))
    expect(stderr).toMatch(/complete SOCKS5 connection to 127\.0\.0\.1\. \(5\)/)
    expect(code).toBe(PROXY_ERROR)
  })

  it('says "host unreachable" of a name that does not resolve', async () => {
    const { code, stderr } = await run(scene, curl(...proxyOf('socks5h', open), 'http://nope.invalid/'))
    expect(stderr).toMatch(/complete SOCKS5 connection to nope\.invalid\. \(4\)/)
    expect(code).toBe(PROXY_ERROR)
  })

  it('brings 64 MB down by HTTP and by HTTPS', async () => {
    for (const url of [`http://127.0.0.1:${http.port}/`, `https://localhost:${https.port}/`]) {
      expect(sha256(await output(scene, curl(...proxyOf('socks5h', open), url)))).toBe(digest)
    }
  })

  it('brings 64 MB up', async () => {
    const file = join(folder(scene), 'content')
    writeFileSync(file, content)
    const url = `https://localhost:${https.port}/put`
    expect((await output(scene, curl(...proxyOf('socks5h', open), '-T', file, url))).toString()).toBe(digest)
  })

  it('fetches 60 pages over up to 20 connections at a time', async () => {
    const cwd = folder(scene)
    const url = `http://localhost:${http.port}/hello/[1-60]`
    const before = http.connections()
    const parallel = ['-Z', '--parallel-max', '20', '--parallel-immediate']
    await output(scene, curl(...proxyOf('socks5h', closed, LOGIN), ...parallel, url, '-o', 'page-#1'), { cwd })
    const pages = Array.from({ length: 60 }, (_, index) => readFileSync(join(cwd, `page-${index + 1}`), 'utf8'))
    expect(pages).toEqual(Array.from({ length: 60 }, (_, index) => `hello ${index + 1}`))
    expect(http.connections() - before).toBeGreaterThan(1)
  })

  it.each([
    ['http', () => http],
    ['https', () => https],
  ] as const)('made every connection to the %s origin through the tunnels', async (_name, at) => {
    const { port, connections } = at()
    await carriedAll([open, closed], [`localhost:${port}`, `127.0.0.1:${port}`], connections)
  })
})
