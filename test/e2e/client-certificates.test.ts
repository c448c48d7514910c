import { X509Certificate } from 'node:crypto'
import { connect } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { keyPin } from '../../src/node/tls/key-pins.js'
import { Authority, type Issued } from '../support/certificates.js'
import { api } from '../support/e2e/modes.js'
import { type ServerProcess, sceneOfTest } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { echoTarget, tcpTarget } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'

const ANN = 'CN=ann,O=Example'
const scene = sceneOfTest()

let authority: Authority
let server: Issued
let ann: Issued
let bob: Issued
/** With the subject of {@link ann}, of an authority that the server does not know. */
let eve: Issued

beforeAll(async () => {
  authority = await Authority.create()
  server = await authority.issue({ names: ['localhost', 'IP:127.0.0.1'] })
  ann = await authority.issue({ subject: 'O=Example,CN=ann' })
  bob = await authority.issue({ subject: 'O=Example,CN=bob' })
  eve = await (await Authority.create('Others')).issue({ subject: 'O=Example,CN=ann' })
})

const shown = ({ chain, key }: Issued): readonly string[] => [
  ...['--client-cert', scene.file(chain)],
  ...['--client-key', scene.file(key)],
]

/** A server at an address of each kind, with a token that is bound to {@link ANN}. */
async function start(...more: readonly string[]) {
  const port = await freePort()
  const path = `${scene.file('')}.sock`
  const tls = ['--tls-cert', scene.file(server.chain), '--tls-key', scene.file(server.key)]
  const listen = ['--listen', `ws://127.0.0.1:${port}`, '--listen', 'wss://127.0.0.1:0', '--listen', `ws+unix:${path}`]
  const clients = ['--tls-client-ca', scene.file(authority.pem), ...more]
  const process = scene.start([
    'server',
    '--log-format',
    'json',
    ...listen,
    ...tls,
    ...clients,
    '-k',
    'key of the tests',
  ])
  const { listen: addresses } = await process.event('server.ready')
  const [secure = ''] = /wss:\S+/.exec(String(addresses)) ?? []
  const plain: ServerProcess = { process, port, url: `ws://127.0.0.1:${port}` }
  const policy = { client_subjects: [ANN] }
  expect((await api(plain, 'POST', 'token', { type: 'forward', token: 'F', policy })).status).toBe(200)
  return { plain, secure, path }
}

/** How a client ends that is not to try again. */
async function failure(url: string, ...args: readonly string[]): Promise<{ code: number | string; said: string }> {
  const ca = ['--ca-file', scene.file(authority.pem)]
  const client = scene.start(['client', '-u', url, '-t', 'F', '-R', '-p', '0', ...ca, ...args])
  return { code: await client.end(), said: client.stderr }
}

/** A port of loopback that leads to a Unix socket, as a reverse proxy does. */
function proxyTo(path: string): Promise<number> {
  return tcpTarget(scene, (socket) => {
    const out = connect({ path })
    scene.own(() => out.destroy())
    out.on('error', () => socket.destroy())
    socket.pipe(out).pipe(socket)
  })
}

describe('a token that is bound to the certificate of a client', () => {
  it('lets that client in, which carries, and is shown and logged with its subject', async () => {
    const { plain, secure } = await start()
    const trust = ['--ca-file', scene.file(authority.pem), '--pin-sha256', keyPin(new X509Certificate(server.cert))]
    const { socksPort } = await scene.listener(secure, ['-t', 'F', ...trust, ...shown(ann)])
    const stream = await socksConnect(scene, socksPort, ['127.0.0.1', await echoTarget(scene)])
    stream.write('through')
    expect((await readBytes(stream, 7)).toString()).toBe('through')
    const { clients } = (await (await api(plain, 'GET', 'clients')).json()) as { clients: readonly object[] }
    expect(clients).toMatchObject([{ role: 'forward', subject: ANN }])
    await plain.process.event('link.admitted', { certificate: ANN })
  })

  it('is no good for anybody else, at whichever address', async () => {
    const { plain, secure, path } = await start('--tls-client-auth', 'optional')
    const refused = { code: 3, said: expect.stringContaining('invalid token') }
    for (const other of [[], shown(bob), shown(eve)]) expect(await failure(secure, ...other)).toEqual(refused)
    // where no certificate can be shown
    for (const url of [plain.url, `ws://127.0.0.1:${await proxyTo(path)}`]) {
      expect(await failure(url, ...shown(ann))).toEqual(refused)
    }
    expect(plain.process.events('link.admitted')).toEqual([])
  })
})

describe('a client', () => {
  it('is told what is missing where a certificate is required, before its token is looked at', async () => {
    const { plain, secure } = await start()
    const needed = 'a client certificate is needed here, and'
    expect((await failure(secure)).said).toContain(`${needed} you showed none`)
    expect((await failure(secure, ...shown(eve))).said).toContain(`${needed} your certificate is not accepted`)
    expect(plain.process.events('link.rejected')).toEqual([])
  })

  it('is needed by the commands for running servers as well, which show theirs by the same flags', async () => {
    const { secure } = await start()
    const access = ['-u', secure, '-k', 'key of the tests', '--ca-file', scene.file(authority.pem)]
    const without = scene.start(['status', ...access])
    expect(await without.end()).toBe(3)
    expect(without.stderr).toContain('--client-cert: a client certificate is needed here, and you showed none')
    const status = scene.start(['status', ...access, ...shown(ann)])
    expect(await status.end()).toBe(0)
    expect(status.stdout).toContain('key       default (full)')
  })

  it('says nothing to a server with another key than the pinned one', async () => {
    const { plain, secure } = await start('--tls-client-auth', 'optional')
    const { code, said } = await failure(secure, '--insecure', '--pin-sha256', '00'.repeat(32), ...shown(ann))
    expect(code).toBe(1)
    expect(said).toContain(`none of those that are pinned: its SHA-256 is ${keyPin(new X509Certificate(server.cert))}`)
    expect(plain.process.events('link.admitted')).toEqual([])
  })
})
