import { randomFillSync } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { contentListener, origin } from '../support/programs/origin.js'
import { describeWith, output, run } from '../support/programs/programs.js'
import { afterEofAnswer, afterEofTarget } from '../support/programs/targets.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'
import { allCarried, LOGIN, type WebTunnels, webTunnels } from '../support/programs/web-tunnels.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const content = randomFillSync(Buffer.alloc(8 * 1024 * 1024))
const PYTHON = fileURLToPath(new URL('../.venv/tools/bin/python', import.meta.url))
const PYSOCKS = fileURLToPath(new URL('../peers/programs_pysocks.py', import.meta.url))
/** curl's exit code for a proxy that said no (CURLE_PROXY). */
const PROXY_ERROR = 97
/** In curl's words: 91, for a client that has no password to give and for a target that can't be reached. */
const REJECTED = '(91), request rejected or failed.'

describeWith(['curl', 'openssl'], 'curl by SOCKS4', () => {
  const scene = sceneOfSuite()
  let web: WebTunnels
  beforeAll(async () => {
    web = await webTunnels(scene, {
      origin: (owner, ca) => origin(owner, contentListener(content), ca),
      agentArgs: ['-f'],
    })
  })
  const curl = (...args: readonly string[]): readonly string[] => [
    ...['curl', '-sS', '-4', '--cacert', web.ca.caFile],
    ...args,
  ]

  describe.each([
    ['forward mode', () => web.forward],
    ['the port of a reverse token', () => web.reverse],
    ['a connector with fast open', () => web.agent],
  ] as const)('through %s', (_name, tunnel) => {
    it.each(['http', 'https'] as const)('fetches a page by socks4 and %s: curl looks the name up', async (scheme) => {
      const { port } = scheme === 'http' ? web.http : web.https
      const url = `${scheme}://localhost:${port}/hello/socks4`
      expect((await output(scene, curl('--socks4', tunnel().address, url))).toString()).toBe('hello socks4')
      await tunnel().carried(`127.0.0.1:${port}`)
    })

    it.each(['http', 'https'] as const)(
      'fetches a page by socks4a and %s: the exit looks the name up',
      async (scheme) => {
        const { port } = scheme === 'http' ? web.http : web.https
        const url = `${scheme}://localhost:${port}/hello/socks4a`
        expect((await output(scene, curl('--socks4a', tunnel().address, url))).toString()).toBe('hello socks4a')
        await tunnel().carried(`localhost:${port}`)
      },
    )
  })

  it('may say any user name', async () => {
    const url = `http://localhost:${web.http.port}/hello/bob`
    const text = await output(scene, curl('--proxy', `socks4a://bob@${web.forward.address}`, url))
    expect(text.toString()).toBe('hello bob')
  })

  it.each(['socks4', 'socks4a'])('is refused by %s where a password is asked for', async (scheme) => {
    const url = `http://localhost:${web.http.port}/hello/nobody`
    const before = web.http.connections()
    const { code, stdout, stderr } = await run(
      scene,
      curl('--proxy', `${scheme}://${LOGIN[0]}@${web.closed.address}`, url),
    )
    expect([code, stderr]).toEqual([PROXY_ERROR, expect.stringContaining(REJECTED)])
    expect(stdout).toHaveLength(0)
    expect(web.http.connections()).toBe(before)
  })

  it.each([
    ['a port that refuses', '127.0.0.1'],
    ['a name that does not resolve', 'nope.invalid'],
  ])('hears of %s', async (_name, host) => {
    const url = `http://${host}:${await freePort()}/`
    const { code, stderr } = await run(scene, curl('--socks4a', web.forward.address, url))
    expect([code, stderr]).toEqual([PROXY_ERROR, expect.stringContaining(REJECTED)])
  })

  it('made every connection to the origins through the tunnels', async () => {
    await allCarried(web, ['localhost', '127.0.0.1'])
  })
})

describeWith(['nc.openbsd'], 'nc', () => {
  const scene = sceneOfSuite()

  it.each([
    ['SOCKS4', '4'],
    ['CONNECT', 'connect'],
  ])('-N ends its side by %s and gets the whole answer to that', async (_name, protocol) => {
    const port = await afterEofTarget(scene)
    const tunnel = await ProgramTunnel.start(scene, 'agent')
    const nc = ['nc.openbsd', '-X', protocol, '-x', tunnel.address, '-N', '127.0.0.1', `${port}`]
    const answer = await output(scene, nc, { input: content })
    expect(sha256(answer)).toBe(sha256(afterEofAnswer(content)))
    await tunnel.carried(`127.0.0.1:${port}`)
  })
})

describeWith(['curl', 'proxychains4'], 'proxychains', () => {
  const scene = sceneOfSuite()

  it.each(['socks4', 'http', 'socks5'])('takes curl, which knows of no proxy, through it by %s', async (kind) => {
    const { port, connections } = await origin(scene, contentListener(content))
    const tunnel = await ProgramTunnel.start(scene, 'forward')
    const config = scene.file(`strict_chain\n[ProxyList]\n${kind} 127.0.0.1 ${tunnel.socksPort}\n`)
    const curl = ['proxychains4', '-q', '-f', config, 'curl', '-sS', '-4', `http://127.0.0.1:${port}/`]
    expect(sha256(await output(scene, curl))).toBe(sha256(content))
    await carriedAll([tunnel], [`127.0.0.1:${port}`], connections)
  })
})

describeWith([PYTHON], 'PySocks', () => {
  const scene = sceneOfSuite()

  it.each([
    ['SOCKS4a', 'tcp4'],
    ['CONNECT', 'connect'],
  ])('sends 8 MB by %s, ends its side, and receives the answer to that', async (_name, kind) => {
    const port = await afterEofTarget(scene)
    const tunnel = await ProgramTunnel.start(scene, 'forward')
    const python = [PYTHON, PYSOCKS, `${tunnel.socksPort}`, kind, 'localhost', `${port}`]
    expect(sha256(await output(scene, python, { input: content }))).toBe(sha256(afterEofAnswer(content)))
    await tunnel.carried(`localhost:${port}`)
  })
})
