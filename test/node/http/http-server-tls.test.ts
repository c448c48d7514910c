import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { EXPECTED_REQUEST_MS } from '../../../src/inbound/expected-requests.js'
import {
  type HttpServerOptions,
  listenHttp,
  type RequestContext,
  type UpgradeInfo,
} from '../../../src/node/http/http-server.js'
import { trustedProxies } from '../../../src/node/http/trusted-proxy.js'
import type { ListenAddress } from '../../../src/node/net/listen-address.js'
import type { CertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { CertificateTable } from '../../../src/node/tls/certificate-table.js'
import { TlsAcceptor } from '../../../src/node/tls/tls-acceptor.js'
import type { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { LogRecorder } from '../../client/fixture.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { atEnd } from '../../support/at-end.js'
import { Authority, type Issued } from '../../support/certificates.js'
import { parseAnswer, type RawAnswer } from '../../support/raw-http.js'
import { until } from '../../support/wait.js'
import { socketPath } from '../net/unix-folder.js'
import { stoppedClock } from '../stopped-clock.js'
import { clientHello } from '../tls/hellos.js'
import { pairOf } from '../tls/pairs.js'

const HOST = '127.0.0.1'
const UPGRADE =
  'GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n'

let pair: CertificatePair
let authority: Authority
let ann: Issued
let eve: Issued

beforeAll(async () => {
  authority = await Authority.create('Clients')
  pair = await pairOf({ names: ['relay.test'] })
  ann = await authority.issue({ subject: 'O=Example,CN=ann' })
  eve = await (await Authority.create('Others')).issue({ subject: 'O=Example,CN=ann' })
})

interface Setting extends Partial<HttpServerOptions> {
  readonly clientAuth?: 'required' | 'optional'
}

async function serve({ clientAuth, ...options }: Setting = {}) {
  const certificates = new CertificateTable(['pair'])
  certificates.set('pair', pair)
  const log = new LogRecorder()
  const contexts: RequestContext[] = []
  const upgrades: { transport: WsTransport; info: UpgradeInfo }[] = []
  const asked = { ca: authority.pem }
  const clients = clientAuth === undefined ? undefined : () => asked
  const server = await listenHttp({
    listen: [{ host: HOST, port: 0, tls: true }],
    tls: {
      createAcceptor: (parts) => new TlsAcceptor({ ...parts, certificates, clients }),
      needsClientCertificate: clientAuth === 'required',
    },
    log,
    isSocketPath: (path) => path === '/socket',
    handle: async (_request, context) => {
      contexts.push(context)
      return new Response('fine')
    },
    upgrade: (transport, info) => {
      transport.start(new TransportRecorder())
      upgrades.push({ transport, info })
    },
    ...options,
  })
  atEnd(() => server.close())
  return { server, port: portOf(server.addresses[0]), log, contexts, upgrades }
}

const portOf = (address: ListenAddress | undefined): number =>
  address !== undefined && 'port' in address ? address.port : 0

const options = (certificate?: Issued): ConnectionOptions => ({
  rejectUnauthorized: false,
  ...(certificate && { cert: certificate.chain, key: certificate.key }),
})

/** A client whose handshake is done; ended with the test. */
async function secure(port: number, certificate?: Issued): Promise<Socket> {
  const socket = tlsConnect({ port, host: HOST, ...options(certificate) })
  socket.on('error', () => {})
  atEnd(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

async function tcp(port: number): Promise<Socket> {
  const socket = connect(port, HOST)
  socket.on('error', () => {})
  atEnd(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

const ended = (socket: Socket): Promise<unknown> =>
  new Promise((resolve) => void socket.resume().once('close', resolve))

/** What comes until the connection ends. */
function answerOn(socket: Socket): Promise<RawAnswer> {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  return new Promise((resolve) => socket.once('close', () => resolve(parseAnswer(text))))
}

async function ask(port: number, certificate?: Issued): Promise<{ status: number | undefined; body: string }> {
  const request = httpsRequest({ port, host: HOST, agent: false, ...options(certificate) })
  request.end()
  const [response] = await once(request, 'response')
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode, body }
}

/** The status that a WebSocket is refused with; 101 when it opens. */
function upgradeStatus(port: number, certificate?: Issued): Promise<number | undefined> {
  const ws = new WebSocket(`wss://${HOST}:${port}/socket`, options(certificate))
  atEnd(() => ws.terminate())
  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve(101))
    ws.on('unexpected-response', (_request, response) => resolve(response.statusCode))
    ws.on('error', reject)
  })
}

describe('listenHttp with TLS', () => {
  it('serves requests and WebSockets', async () => {
    const { port, contexts, upgrades, log, server } = await serve()
    expect(server.addresses).toEqual([{ host: HOST, port, tls: true }])
    expect(await ask(port)).toEqual({ status: 200, body: 'fine' })
    expect(await upgradeStatus(port)).toBe(101)
    expect(contexts[0]?.remoteAddress).toBe(HOST)
    expect(upgrades[0]?.info).toMatchObject({ remoteAddress: HOST, subject: undefined })
    expect(log.lines).toEqual([])
  })

  it('serves several requests on one connection, and several addresses', async () => {
    const path = socketPath()
    const { server, contexts } = await serve({
      listen: [{ host: HOST, port: 0 }, { host: HOST, port: 0, tls: true }, { path }],
    })
    const [plain, tls] = server.addresses
    const socket = await secure(portOf(tls))
    socket.write('GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    await answerOn(socket)
    expect(await (await fetch(`http://${HOST}:${portOf(plain)}/3`)).text()).toBe('fine')
    expect(contexts.map(({ rawPath }) => rawPath)).toEqual(['/1', '/2', '/3'])
  })

  it('is not quiet from the accept of a connection to the answer of its first request', async () => {
    const clock = stoppedClock()
    const { server, port } = await serve()
    const raw = await tcp(port)
    await until(() => !server.isQuiet)
    raw.destroy()
    await until(() => server.isQuiet)
    const socket = await secure(port)
    expect(server.isQuiet).toBe(false)
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await once(socket, 'data')
    await until(() => server.isQuiet)
    const silent = await secure(port)
    expect(server.isQuiet).toBe(false)
    clock.advance(EXPECTED_REQUEST_MS)
    expect([server.isQuiet, silent.destroyed]).toEqual([true, false])
  })

  it('answers plain HTTP with 400 and says what to speak', async () => {
    const { port, log } = await serve()
    const socket = await tcp(port)
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    const { status, body } = await answerOn(socket)
    expect([status, body]).toEqual([400, expect.stringContaining('this port speaks TLS: use https:// or wss://')])
    expect(log.of('http.rejected')).toEqual([
      { address: HOST, code: 'ERR_HTTP', reason: 'no TLS on a port that has it: use wss:// or https://' },
    ])
  })

  it('closes a plain port to TLS without an answer, with one line', async () => {
    const { server, log } = await serve({ listen: [{ host: HOST, port: 0 }] })
    const socket = await tcp(portOf(server.addresses[0]))
    socket.write(await clientHello())
    expect(await answerOn(socket)).toEqual({ status: 0, head: '', body: '' })
    expect(log.of('http.rejected')).toEqual([
      { address: HOST, code: 'ERR_HTTP', reason: 'TLS on a port that has none: use ws:// or http://' },
    ])
  })

  it('ends a header that does not come in time', async () => {
    const { port } = await serve({ headerTimeoutMs: 100 })
    const socket = await secure(port)
    socket.write('GET / HTTP/1.1\r\nHost:')
    expect((await answerOn(socket)).status).toBe(408)
    // nor does it wait for one that says nothing
    await ended(await secure(port))
  })

  it('closes connections in their handshake when it closes', async () => {
    const { port, server } = await serve()
    const socket = await tcp(port)
    socket.write((await clientHello()).subarray(0, 20))
    const open = await secure(port)
    const both = [ended(socket), ended(open)]
    await server.close()
    await Promise.all(both)
  })
})

describe('strangers at a port with TLS', () => {
  it('count from the beginning of their handshake on', async () => {
    const { port } = await serve({ maxPending: 2 })
    const [first, second] = [await tcp(port), await tcp(port)]
    const gone = ended(first)
    const client = await secure(port)
    await gone
    expect([second.destroyed, client.destroyed]).toEqual([false, false])
  })

  it('have one place, which the handshake does not make a new one', async () => {
    const { port, upgrades } = await serve({ maxPending: 2 })
    const first = await secure(port)
    first.write(UPGRADE)
    await once(first, 'data')
    const second = await secure(port)
    second.write(UPGRADE)
    await once(second, 'data')
    expect([first.destroyed, second.destroyed]).toEqual([false, false])
    upgrades[0]?.info.admitted()
    const gone = ended(second)
    await tcp(port)
    await tcp(port)
    await gone
    expect(first.destroyed).toBe(false)
  })
})

describe('certificates of clients of an HTTP server', () => {
  it('are needed where they are required, and it says what is wrong', async () => {
    const { port, contexts, upgrades } = await serve({ clientAuth: 'required' })
    const needed = 'a client certificate is needed here, and'
    expect(await ask(port)).toEqual({ status: 403, body: expect.stringContaining(`${needed} you showed none`) })
    expect(await ask(port, eve)).toEqual({
      status: 403,
      body: expect.stringMatching(
        /a client certificate is needed here, and your certificate is not accepted \([\w-]+\)/,
      ),
    })
    expect([await upgradeStatus(port), await upgradeStatus(port, eve)]).toEqual([403, 403])
    expect([contexts, upgrades]).toEqual([[], []])
    expect(await ask(port, ann)).toMatchObject({ status: 200 })
    expect(await upgradeStatus(port, ann)).toBe(101)
    expect(upgrades[0]?.info.subject).toBe('CN=ann,O=Example')
  })

  it('end the connection when another authority of the same name signed them, and the log says so', async () => {
    const { port, log } = await serve({ clientAuth: 'optional' })
    const double = await (await Authority.create('Clients')).issue({ subject: 'O=Example,CN=ann' })
    await ask(port, double).catch(() => {})
    await until(() => log.of('http.rejected').length === 1)
    expect(log.of('http.rejected')).toMatchObject([
      { address: HOST, reason: expect.stringContaining('another authority with the name of a known one') },
    ])
  })

  it('may be missing where they are optional', async () => {
    const { port, upgrades } = await serve({ clientAuth: 'optional' })
    for (const certificate of [undefined, eve, ann]) {
      expect(await ask(port, certificate)).toMatchObject({ status: 200 })
      expect(await upgradeStatus(port, certificate)).toBe(101)
    }
    expect(upgrades.map(({ info }) => info.subject)).toEqual([undefined, undefined, 'CN=ann,O=Example'])
  })

  it('are known before a WebSocket is opened', async () => {
    const subjects: (string | undefined)[] = []
    const { port } = await serve({
      clientAuth: 'required',
      checkUpgrade: ({ subject }) => {
        subjects.push(subject)
        return undefined
      },
    })
    await upgradeStatus(port, eve)
    await upgradeStatus(port, ann)
    expect(subjects).toEqual(['CN=ann,O=Example'])
  })

  it('are not asked for on addresses without TLS', async () => {
    const { server } = await serve({ clientAuth: 'required', listen: [{ host: HOST, port: 0 }] })
    expect((await fetch(`http://${HOST}:${portOf(server.addresses[0])}/`)).status).toBe(200)
  })
})

describe('listenHttp at a Unix socket', () => {
  async function from(path: string, headers: Record<string, string>): Promise<void> {
    const request = httpRequest({ socketPath: path, headers, agent: false })
    request.end()
    const [response] = await once(request, 'response')
    await once(response.resume(), 'end')
  }

  it.each([
    ['unix', {}],
    ['192.0.2.1', { 'X-Forwarded-For': '192.0.2.1' }],
    ['192.0.2.2', { 'X-Forwarded-For': '192.0.2.1, 192.0.2.2' }],
    ['192.0.2.1', { 'X-Forwarded-For': '192.0.2.1, 10.0.0.1' }],
    ['unix', { 'X-Forwarded-For': 'garbage' }],
    ['unix', { 'X-Forwarded-For': 'unix' }],
  ])('takes a request for one from %s with %j', async (address, headers) => {
    const path = socketPath()
    const { contexts } = await serve({ listen: [{ path }], trusted: trustedProxies(['10.0.0.0/8']) })
    await from(path, headers)
    expect(contexts.map(({ remoteAddress }) => remoteAddress)).toEqual([address])
  })

  it('opens WebSockets, and believes on TCP nobody for it', async () => {
    const path = socketPath()
    const { server, upgrades, contexts } = await serve({ listen: [{ path }, { host: HOST, port: 0 }] })
    const socket = connect({ path })
    socket.on('error', () => {})
    atEnd(() => void socket.destroy())
    socket.write(UPGRADE.replace('Host', 'X-Forwarded-For: 192.0.2.7\r\nHost'))
    await once(socket, 'data')
    expect(upgrades[0]?.info.remoteAddress).toBe('192.0.2.7')
    const url = `http://${HOST}:${portOf(server.addresses[1])}/`
    await (await fetch(url, { headers: { 'X-Forwarded-For': '192.0.2.8' } })).text()
    expect(contexts.map(({ remoteAddress }) => remoteAddress)).toEqual([HOST])
  })

  it('logs what is no HTTP without an address', async () => {
    const path = socketPath()
    const { log } = await serve({ listen: [{ path }] })
    const socket = connect({ path })
    socket.on('error', () => {}).write('\0\0\0\r\n')
    await ended(socket)
    await until(() => log.of('http.rejected').length === 1)
    expect(log.of('http.rejected')).toMatchObject([{ address: '' }])
  })
})
