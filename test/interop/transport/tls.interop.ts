import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Scene, type ServerProcess, sceneOfSuite, sceneOfTest } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { type LocalCa, localCa, OPENSSL } from '../support/local-ca.js'
import { HAPROXY } from '../support/proxies/haproxy.js'
import { location, NGINX, startNginx, tlsLines } from '../support/proxies/nginx.js'
import { findProgram } from '../support/proxies/reverse-proxy.js'
import { expectBulk, expectHalfClose, expectInteractive } from '../support/transport-checks.js'

const MB = 1024 * 1024
const NAMES = ['DNS:localhost', 'IP:127.0.0.1', 'IP:127.0.0.77']
/** The ports that URLs leave out may be taken where nobody else is, by who may take them. */
const OWN_NETWORK = process.env.LINKSOCKS_INTEROP_ISOLATED === '1'

const suite = sceneOfSuite()
const scene = sceneOfTest()
let server: ServerProcess
let ca: LocalCa
let certificate = ''

beforeAll(async () => {
  if (OPENSSL === undefined) return
  server = await suite.server(['-t', 'F'])
  ca = await localCa(suite, 'Authority of this test')
  certificate = await ca.certificate({ names: NAMES })
})

/** A client that has to fail: what it says at its end. */
async function failure(owner: Scene, url: string, ...flags: readonly string[]): Promise<string> {
  const client = owner.start(['client', '-u', url, '-t', 'F', '-p', '0', '-R', ...flags])
  expect(await client.end()).toBe(1)
  const lines = client.stderr.trim().split('\n')
  return lines.at(-1) ?? ''
}

for (const kind of [NGINX, HAPROXY]) {
  const absent = OPENSSL === undefined || kind.program === undefined
  describe.skipIf(absent)(`TLS that ${kind.name} ends`, () => {
    const front = sceneOfSuite()
    let port = 0
    beforeAll(async () => {
      port = (await kind.start(front, { targetPort: server.port, certificate })).port
    })

    it.each(['localhost', '127.0.0.1'])('is trusted by --ca-file, for the host %s', async (host) => {
      const { socksPort } = await scene.listener(`wss://${host}:${port}`, ['-t', 'F', '--ca-file', ca.file])
      await expectInteractive(scene, socksPort)
      await expectBulk(scene, socksPort, randomBytes(16 * MB))
      await expectHalfClose(scene, socksPort)
    })

    it('is not trusted without --ca-file, and the error says what to do', async () => {
      const said = await failure(scene, `wss://localhost:${port}`)
      expect(said).toMatch(
        /--url: TLS with localhost:\d+ failed: the certificate is not trusted \(.+\); name its authority by --ca-file/,
      )
    })

    it('is not trusted by the file of another authority of the same name', async () => {
      const other = await localCa(scene, 'Authority of this test')
      expect(await failure(scene, `wss://localhost:${port}`, '--ca-file', other.file)).toMatch(
        /failed: .*(not trusted|SIGNATURE)/i,
      )
    })

    it('is let through by --insecure', async () => {
      const { socksPort } = await scene.listener(`wss://localhost:${port}`, ['-t', 'F', '--insecure'])
      await expectInteractive(scene, socksPort, 3)
    })

    it('is refused for another name, unless --server-name says which', async () => {
      const foreign = await ca.certificate({ names: ['DNS:relay.test'] })
      const { port: foreignPort } = await kind.start(scene, { targetPort: server.port, certificate: foreign })
      const url = `wss://localhost:${foreignPort}`
      expect(await failure(scene, url, '--ca-file', ca.file)).toContain('the certificate is for another name')
      expect(await failure(scene, `wss://127.0.0.1:${foreignPort}`, '--ca-file', ca.file)).toContain('for another name')
      const flags = ['-t', 'F', '--ca-file', ca.file, '--server-name', 'relay.test']
      const { socksPort } = await scene.listener(url, flags)
      await expectInteractive(scene, socksPort, 3)
    })

    it('is refused when the certificate has expired', async () => {
      const old = await ca.certificate({ names: NAMES, endYear: 2021 })
      const { port: oldPort } = await kind.start(scene, { targetPort: server.port, certificate: old })
      expect(await failure(scene, `wss://localhost:${oldPort}`, '--ca-file', ca.file)).toContain('has expired')
    })

    it('is asked for by wss:// alone: the error says so', async () => {
      expect(await failure(scene, `wss://127.0.0.1:${server.port}`)).toContain('does not speak TLS')
      expect(await failure(scene, `ws://127.0.0.1:${port}`)).toMatch(/--url: .*(400|closed)/)
    })
  })
}

const absent = OPENSSL === undefined || findProgram('nginx') === undefined
describe.skipIf(absent)('nginx that redirects http to https', () => {
  const address = '127.0.0.77'

  /** Redirects from one port to TLS on another. */
  async function redirecting(plain: number, tls: number): Promise<void> {
    const back = tls === 443 ? '' : `:${tls}`
    const servers = `
      server { listen ${address}:${plain}; return 301 https://$host${back}$request_uri; }
      server {
        listen ${address}:${tls} ssl; ${tlsLines(certificate)}
        ${location('/', `http://127.0.0.1:${server.port}`)}
      }`
    await startNginx(scene, { listens: [address, tls], servers })
  }

  it('is followed by a client that authenticates in the URL', async () => {
    const plain = await freePort(2)
    await redirecting(plain, plain + 1)
    const { socksPort } = await scene.listener(`http://${address}:${plain}`, ['-t', 'F', '--ca-file', ca.file])
    await expectInteractive(scene, socksPort, 3)
  })

  it('does not get a token in-band at another port', async () => {
    const plain = await freePort(2)
    await redirecting(plain, plain + 1)
    const said = await failure(scene, `http://${address}:${plain}`, '--ca-file', ca.file, '--auth-in-band')
    expect(said).toContain(`connect to wss://${address}:${plain + 1}/socket directly`)
  })

  it.skipIf(!OWN_NETWORK).each([[[]], [['--auth-in-band']]])(
    'is followed from port 80 to 443, flags %j',
    async (flags) => {
      await redirecting(80, 443)
      const { socksPort } = await scene.listener(`http://${address}`, ['-t', 'F', '--ca-file', ca.file, ...flags])
      await expectInteractive(scene, socksPort, 3)
    },
  )
})
