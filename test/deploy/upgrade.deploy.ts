import { describe, expect, it } from 'vitest'
import { readMarkdown } from '../docs/markdown.js'
import { readText } from '../project/support.js'
import { type Scene, sceneOfTest, sha256 } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { download, echoTarget, httpOrigin } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually, until } from '../support/wait.js'
import { canBootSystemd, SystemdMachine } from './support/machine.js'
import { answerOf, Probes } from './support/probes.js'

const KEY = 'key of the tests'
const HEADERS = { 'X-API-Key': KEY }
const SERVICE = 'linksocks-server.service'
const INSTANCE = 'linksocks-server@next.service'
const SOCKET = 'linksocks-server.socket'
/** Probes on either side of what is tested. */
const SOME = 20

const bootable = await canBootSystemd()

/** A machine with the shipped units, but for the port, and what they say in a file. */
async function bootUnits(
  scene: Scene,
  more: Readonly<Record<string, string>> = {},
  { withSocket = true, secrets = {} }: { withSocket?: boolean; secrets?: Readonly<Record<string, string>> } = {},
) {
  const port = await freePort()
  const unit = async (name: string) => (await readText(`deploy/systemd/${name}`)).replaceAll('8765', `${port}`)
  const [service, socket] = await Promise.all([unit(SERVICE), unit(SOCKET)])
  const toFile = '[Service]\nStandardError=append:/mnt/shared/log\n'
  const units = {
    [SERVICE]: service,
    'linksocks-server@.service': service,
    ...(withSocket ? { [SOCKET]: socket } : {}),
    'linksocks-server.service.d/log.conf': toFile,
    ...more,
  }
  const machine = await SystemdMachine.boot(scene, units, { 'api-key': `${KEY}\n`, ...secrets })
  // as docs/deployment.md has it
  const folder = '/etc/systemd/system'
  await machine.run('ln', '-sfn', `${folder}/linksocks-server.service.d`, `${folder}/linksocks-server@.service.d`)
  await machine.systemctl('daemon-reload')
  return { machine, port, url: `http://127.0.0.1:${port}` }
}

async function start(machine: SystemdMachine, unit: string): Promise<void> {
  const { code, text } = await machine.systemctl('start', unit)
  expect([code, text], `${machine.console}\n${machine.log('log')}`).toEqual([0, ''])
}

/** Whether a unit runs, as systemd says. */
async function stateOf(machine: SystemdMachine, unit: string): Promise<string> {
  return await machine.property(unit, 'ActiveState')
}

async function addToken(url: string, body: object): Promise<void> {
  const headers = { ...HEADERS, 'Content-Type': 'application/json' }
  const added = await fetch(`${url}/api/token`, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(added.status, await added.text()).toBe(200)
}

describe.skipIf(!bootable)('the relay as systemd runs it', () => {
  const scene = sceneOfTest()

  it('is started by the first connection, which is answered', async () => {
    const { machine, url } = await bootUnits(scene)
    await start(machine, SOCKET)
    expect(await stateOf(machine, SERVICE)).toBe('inactive')
    expect(await answerOf(`${url}/healthz`)).toBe('200')
    await eventually('start', async () => ((await stateOf(machine, SERVICE)) === 'active' ? true : undefined))
    await eventually('status', async () => {
      return (await machine.property(SERVICE, 'StatusText')).startsWith('listening on ws://127.0.0.1:') || undefined
    })
  })

  it('goes over to the instance and back, and every connection is answered', async () => {
    const { machine, url } = await bootUnits(scene)
    await start(machine, SERVICE)
    await addToken(url, { type: 'forward', token: 'FORWARD', label: 'kept' })
    const probes = new Probes(`${url}/api/tokens`, HEADERS)
    for (const [next, before] of [
      [INSTANCE, SERVICE],
      [SERVICE, INSTANCE],
      [INSTANCE, SERVICE],
    ] as const) {
      await until(() => probes.count > SOME)
      await start(machine, next)
      const count = probes.count
      await until(() => probes.count > count + SOME)
      await eventually(`end of ${before}`, async () =>
        (await stateOf(machine, before)) === 'inactive' ? true : undefined,
      )
      expect(await machine.property(before, 'Result')).toBe('success')
      expect(await stateOf(machine, next)).toBe('active')
    }
    expect(await probes.stop()).toEqual(['200'])
    // the socket has its service's name, and starts the service only where nothing has the socket
    expect([await stateOf(machine, SERVICE), await machine.property(SERVICE, 'NRestarts')]).toEqual(['inactive', '0'])
    expect(await (await fetch(`${url}/api/tokens`, { headers: HEADERS })).text()).toContain('kept')
  })

  it('carries what clients ask for while the next one takes over', async () => {
    const { machine, port, url } = await bootUnits(scene)
    await start(machine, SERVICE)
    await addToken(url, { type: 'forward', token: 'FORWARD' })
    const { socksPort, process: client } = await scene.listener(`ws://127.0.0.1:${port}`, ['-t', 'FORWARD'])
    const content = Buffer.alloc(100_000, 'x')
    const origin = await httpOrigin(scene, content)
    let downloads = 0
    let stopped = false
    const work = (async () => {
      while (!stopped) {
        expect(await download(await socksConnect(scene, socksPort, ['127.0.0.1', origin]))).toBe(sha256(content))
        downloads += 1
      }
    })()
    // a test that has failed for another reason has its say
    work.catch(() => {})
    await until(() => downloads > 3)
    await start(machine, INSTANCE)
    await eventually('end of the old one', async () =>
      (await stateOf(machine, SERVICE)) === 'inactive' ? true : undefined,
    )
    const count = downloads
    await until(() => downloads > count + 3)
    stopped = true
    await work
    expect(await client.end('SIGTERM')).toBe(0)
  })

  it('lets connections wait while it is started again, and refuses none', async () => {
    const { machine, url } = await bootUnits(scene)
    await start(machine, SERVICE)
    const probes = new Probes(`${url}/healthz`)
    await until(() => probes.count > SOME)
    const before = await machine.property(SERVICE, 'MainPID')
    expect(await machine.systemctl('restart', SERVICE)).toEqual({ code: 0, text: '' })
    const count = probes.count
    await until(() => probes.count > count + SOME)
    expect(await probes.stop()).toEqual(['200'])
    expect(await machine.property(SERVICE, 'MainPID')).not.toBe(before)
  })

  it('stays where the next one can not start', async () => {
    const { machine, url } = await bootUnits(scene, {
      'linksocks-server@next.service.d/broken.conf': '[Service]\nEnvironment=FLAGS=--no-such-flag\n',
    })
    await start(machine, SERVICE)
    const probes = new Probes(`${url}/healthz`)
    await until(() => probes.count > SOME)
    expect((await machine.systemctl('start', INSTANCE)).code).toBe(1)
    expect(await machine.property(INSTANCE, 'ExecMainStatus')).toBe('2')
    const count = probes.count
    await until(() => probes.count > count + SOME)
    expect(await probes.stop()).toEqual(['200'])
    expect([await stateOf(machine, SERVICE), await stateOf(machine, INSTANCE)]).toEqual(['active', 'failed'])
  })

  it('is given up with its socket when a wrong flag ends it again and again', async () => {
    const { machine, url } = await bootUnits(scene, {
      'linksocks-server.service.d/broken.conf': '[Service]\nEnvironment=FLAGS=--no-such-flag\n',
    })
    await start(machine, SOCKET)
    expect(await answerOf(`${url}/healthz`)).toBe('ECONNRESET')
    expect(await machine.property(SOCKET, 'Result')).toBe('service-start-limit-hit')
    expect(machine.log('log').match(/--no-such-flag: unknown flag/g)).toHaveLength(5)
  })

  it('is left the time for its streams that the unit gives it, after the next one has taken over', async () => {
    const { machine, port, url } = await bootUnits(scene, {
      'linksocks-server.service.d/drain.conf':
        '[Service]\nEnvironment="FLAGS=--drain-timeout 1h --drain-idle 1h"\nTimeoutStopSec=65min\n',
    })
    await start(machine, SERVICE)
    await addToken(url, { type: 'forward', token: 'FORWARD' })
    const { socksPort } = await scene.listener(`ws://127.0.0.1:${port}`, ['-t', 'FORWARD'])
    const stream = await socksConnect(scene, socksPort, ['127.0.0.1', await echoTarget(scene)])
    await start(machine, INSTANCE)
    // it said STOPPING=1, so that systemd watches over its end
    await eventually('drain', async () => ((await stateOf(machine, SERVICE)) === 'deactivating' ? true : undefined))
    expect(await machine.property(SERVICE, 'StatusText')).toMatch(/^draining/)
    stream.write('still here')
    expect(`${await readBytes(stream, 10)}`).toBe('still here')
    stream.end()
    await eventually('end of the old one', async () =>
      (await stateOf(machine, SERVICE)) === 'inactive' ? true : undefined,
    )
    expect(await machine.property(SERVICE, 'Result')).toBe('success')
  })

  it('has the sockets of several units, and so has the instance', async () => {
    const { blocks } = readMarkdown(await readText('docs/deployment.md'))
    const [block = ''] = blocks
      .filter(({ headings }) => headings.at(-1) === 'A certificate of its own')
      .map(({ text }) => text)
    const shipped = /linksocks-server-tls\.socket <<'END'\n([\s\S]*?)END\n/.exec(block)?.[1] ?? ''
    const tlsPort = await freePort()
    const [cert, key] = await Promise.all(['pem', 'key'].map((end) => readText(`test/support/tls/server.${end}`)))
    const { machine, url } = await bootUnits(
      scene,
      {
        'linksocks-server-tls.socket': shipped.replace('=443', `=127.0.0.1:${tlsPort}`),
        'linksocks-server.service.d/tls.conf': `[Service]
Sockets=linksocks-server-tls.socket
LoadCredential=key:/etc/linksocks/key
Environment=LINKSOCKS_TLS_CERT=/etc/linksocks/cert LINKSOCKS_TLS_KEY=%d/key
`,
      },
      { secrets: { cert: cert ?? '', key: key ?? '' } },
    )
    await start(machine, SERVICE)
    const probes = [new Probes(`${url}/healthz`), new Probes(`https://127.0.0.1:${tlsPort}/healthz`)]
    for (const next of [INSTANCE, SERVICE]) {
      await start(machine, next)
      const counts = probes.map(({ count }) => count)
      await until(() => probes.every(({ count }, index) => count > (counts[index] ?? 0) + SOME))
    }
    for (const each of probes) expect(await each.stop()).toEqual(['200'])
    for (const unit of [SERVICE, INSTANCE]) expect(await machine.property(unit, 'DropInPaths')).toContain('/tls.conf')
  })

  it('is upgraded by the commands of docs/deployment.md', async () => {
    const { blocks } = readMarkdown(await readText('docs/deployment.md'))
    const [block = ''] = blocks.filter(({ headings }) => headings.at(-1) === 'With systemd').map(({ text }) => text)
    const { machine } = await bootUnits(scene)
    await start(machine, SERVICE)
    for (const [next, before] of [
      [INSTANCE, SERVICE],
      [SERVICE, INSTANCE],
    ] as const) {
      expect(await machine.run('sh', '-euc', block)).toEqual({ code: 0, text: '' })
      expect(await stateOf(machine, next)).toBe('active')
      await eventually('end', async () => ((await stateOf(machine, before)) === 'inactive' ? true : undefined))
    }
  })

  it('gets the socket by a restart, where it ran without', async () => {
    const { machine, port, url } = await bootUnits(scene, {}, { withSocket: false })
    await start(machine, SERVICE)
    const socket = (await readText(`deploy/systemd/${SOCKET}`)).replaceAll('8765', `${port}`)
    await machine.run('sh', '-c', `cat > /etc/systemd/system/${SOCKET} <<'END'\n${socket}\nEND`)
    await machine.systemctl('daemon-reload')
    expect(await machine.systemctl('restart', SERVICE)).toEqual({ code: 0, text: '' })
    expect(await stateOf(machine, SOCKET)).toBe('active')
    expect(await answerOf(`${url}/healthz`)).toBe('200')
    expect(machine.log('log')).toContain('a socket was passed in its place')
  })

  it('works without the unit of the socket', async () => {
    const { machine, url } = await bootUnits(scene, {}, { withSocket: false })
    await start(machine, SERVICE)
    expect(await answerOf(`${url}/healthz`)).toBe('200')
    expect(await machine.systemctl('restart', SERVICE)).toEqual({ code: 0, text: '' })
    expect(await answerOf(`${url}/healthz`)).toBe('200')
    expect(await machine.systemctl('stop', SERVICE)).toEqual({ code: 0, text: '' })
    expect(await answerOf(`${url}/healthz`)).toBe('ECONNREFUSED')
  })
})
