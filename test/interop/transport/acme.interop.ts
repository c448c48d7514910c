import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { readMarkdown } from '../../docs/markdown.js'
import { readText } from '../../project/support.js'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import { REBINDING } from '../../support/e2e/rebinding-name.js'
import { type Scene, sceneOfTest } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { until } from '../../support/wait.js'
import { PEBBLE_MISSING, type Pebble, type PebbleOptions, startPebble } from '../support/pebble.js'
import { expectBulk, expectInteractive } from '../support/transport-checks.js'

const NAME = 'relay.test'
const DAY_S = 24 * 3_600
const scene = sceneOfTest()

interface Setting extends Partial<PebbleOptions> {
  readonly flags?: readonly string[]
}

async function setUp(setting: Setting = {}) {
  const [port, httpPort] = [await freePort(), await freePort()]
  const zone = setting.zone ?? { [NAME]: ['127.0.0.1'] }
  const pebble = await startPebble(scene, { zone, tlsPort: port, httpPort, validitySeconds: 90 * DAY_S, ...setting })
  const data = mkdtempSync(join(tmpdir(), 'linksocks-acme-'))
  scene.own(() => rmSync(data, { recursive: true, force: true }))
  const flags = ['--acme-domain', NAME, '--acme-http-listen', `127.0.0.1:${httpPort}`, ...(setting.flags ?? [])]
  const start = (): LinksocksProcess =>
    startServer(scene, pebble, ['--listen', `wss://127.0.0.1:${port}`, '--data-dir', data, ...flags])
  return { pebble, port, httpPort, data, start }
}

function startServer(owner: Scene, pebble: Pebble, flags: readonly string[]): LinksocksProcess {
  const args = ['server', '-t', 'F', '--log-format', 'json', '--acme-directory', pebble.directory, ...flags]
  return owner.start(args, { env: { NODE_EXTRA_CA_CERTS: pebble.directoryCa } })
}

/** The ports at which authorities look may be taken where nobody else is. */
const OWN_NETWORK = process.env.LINKSOCKS_INTEROP_ISOLATED === '1'
/** The host of the documents. */
const DOCUMENTED = 'relay.example.com'

/** The arguments of the commands in the first block below a heading, by the command. */
async function commandsBelow(name: string, heading: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const { blocks } = readMarkdown(await readText(name))
  const block = blocks.find(({ headings, language }) => language === 'sh' && headings.includes(heading))
  const lines = (block?.text ?? '').split('\n').filter((line) => line.startsWith('linksocks '))
  return new Map(lines.map((line) => line.split(' ').slice(1)).map((args) => [args[0] ?? '', args]))
}

/** What a TLS client gets that trusts the authority's root alone: the serial number, or why there is none. */
function handshake(port: number, { rootFile }: Pebble): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: NAME, ca: readFileSync(rootFile, 'utf8') })
    socket.on('secureConnect', () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '')
      socket.destroy()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

const clientFlags = (pebble: Pebble): readonly string[] => [
  '-t',
  'F',
  '--ca-file',
  pebble.rootFile,
  '--server-name',
  NAME,
]

const SHOWN = PEBBLE_MISSING === undefined ? '' : ` (${PEBBLE_MISSING})`

describe.skipIf(PEBBLE_MISSING !== undefined)(`certificates by themselves${SHOWN}`, () => {
  it.skipIf(!OWN_NETWORK).each([
    ['README.md', 'TLS'],
    ['docs/tls.md', 'A certificate that renews itself'],
  ])('are what the two commands of %s come to', async (document, heading) => {
    const commands = await commandsBelow(document, heading)
    expect([...commands.keys()]).toEqual(['server', 'client'])
    const zone = { [DOCUMENTED]: ['127.0.0.1'] }
    const pebble = await startPebble(scene, { zone, tlsPort: 443, httpPort: 80, validitySeconds: 90 * DAY_S })
    const data = mkdtempSync(join(tmpdir(), 'linksocks-acme-'))
    scene.own(() => rmSync(data, { recursive: true, force: true }))
    const run = (name: string, env: Readonly<Record<string, string>>): LinksocksProcess => {
      const args = (commands.get(name) ?? []).map((word) => (word === './data' ? join(data, 'data') : word))
      return scene.start([...args, '--log-format', 'json'], { env })
    }
    const server = run('server', {
      LINKSOCKS_ACME_DIRECTORY: pebble.directory,
      NODE_EXTRA_CA_CERTS: pebble.directoryCa,
    })
    await server.event('certificate.loaded', { source: DOCUMENTED })
    // as if the name were known and the authority a public one
    const client = run('client', { ...REBINDING, REBINDING_NAME: DOCUMENTED, NODE_EXTRA_CA_CERTS: pebble.rootFile })
    const { port } = await client.event('socks.listening')
    await expectInteractive(scene, Number(port))
    await expectBulk(scene, Number(port), randomBytes(1 << 20))
  })

  it('end in wss with a chain that clients trust, by one command at each end', async () => {
    const { pebble, port, start } = await setUp()
    const server = start()
    await server.event('certificate.loaded', { source: NAME })
    expect(server.events('acme.order').map(({ validation }) => validation)).toEqual(['tls-alpn-01'])
    const { socksPort } = await scene.listener(`wss://127.0.0.1:${port}`, clientFlags(pebble))
    await expectInteractive(scene, socksPort)
    await expectBulk(scene, socksPort, randomBytes(1 << 20))
    expect(pebble.issued()).toBe(1)
  })

  it('are validated by HTTP where the TLS port is not reached', async () => {
    const { pebble, port, start } = await setUp({ tlsPort: await freePort() })
    const server = start()
    await server.event('certificate.loaded', { source: NAME })
    expect(server.events('acme.order').map(({ validation }) => validation)).toEqual(['tls-alpn-01', 'http-01'])
    expect(await handshake(port, pebble)).toMatch(/^[\dA-F]+$/)
  })

  it('are renewed before they end, again and again, under streams that go on', async () => {
    const { pebble, port, start } = await setUp({ validitySeconds: 20 })
    const server = start()
    await server.event('certificate.loaded', { source: NAME })
    const first = await handshake(port, pebble)
    const { socksPort, process: client } = await scene.listener(`wss://127.0.0.1:${port}`, clientFlags(pebble))
    await until(() => server.events('certificate.loaded').length >= 3)
    const serials = new Set([first, await handshake(port, pebble)])
    expect(serials.size).toBe(2)
    await expectInteractive(scene, socksPort)
    expect(client.events('link.up')).toHaveLength(1)
    // no more than the time of each allows; one may be on its way
    const loaded = server.events('certificate.loaded').length
    expect(pebble.issued() - loaded).toBeLessThanOrEqual(1)
  })

  it('are kept, sealed, and used again after a restart, without the authority', async () => {
    const { pebble, port, data, start } = await setUp()
    const server = start()
    await server.event('certificate.loaded', { source: NAME })
    const serial = await handshake(port, pebble)
    server.kill('SIGTERM')
    expect(await server.exited).toBe(0)
    await pebble.stop()
    const stored = readFileSync(join(data, 'acme.sealed'), 'latin1')
    expect(stored).not.toMatch(/PRIVATE KEY|CERTIFICATE|relay/)
    const again = start()
    await again.event('server.ready')
    expect(await handshake(port, pebble)).toBe(serial)
    expect(again.events('acme.order')).toEqual([])
  })

  it('that can not be had are an alarm with the reason, and are tried again on SIGHUP', async () => {
    const zone: Record<string, readonly string[]> = {}
    const { pebble, port, start } = await setUp({ zone, flags: ['--api-key', 'K'] })
    const server = start()
    const failed = await server.event('acme.failed', { domain: NAME })
    expect(failed.reason).toMatch(
      /could not validate relay\.test by tls-alpn-01: .*; .* could not validate relay\.test by http-01: .*could not resolve/,
    )
    expect(await handshake(port, pebble)).toMatch(/UNRECOGNIZED_NAME/)
    expect(server.events('acme.failed')).toHaveLength(1)
    zone[NAME] = ['127.0.0.1']
    server.kill('SIGHUP')
    await server.event('certificate.loaded', { source: NAME })
    expect(await handshake(port, pebble)).toMatch(/^[\dA-F]+$/)
  })
})
