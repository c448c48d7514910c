import { createServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { type LocalCa, localCa } from '../support/programs/ca.js'
import { contentListener, listen, type Origin } from '../support/programs/origin.js'
import { describeWith, folder, output } from '../support/programs/programs.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const SOURCE = fileURLToPath(new URL('../peers/ProxyClient.java', import.meta.url))
const LOGIN = ['ann', 'open sesame'] as const
const PASSWORD = ['-n', LOGIN[0], '-w', LOGIN[1]]
/** As in the program. */
const BODY = sha256(Buffer.alloc(3_000_000))
const PARALLEL = 20
/** Java refuses Basic for CONNECT unless it is allowed. */
const BASIC_FOR_CONNECT = '-Djdk.http.auth.tunneling.disabledSchemes='

describeWith(['java', 'javac', 'openssl'], "Java's HttpClient", () => {
  const scene = sceneOfSuite()
  let classes: string
  let ca: LocalCa
  let http: Origin
  let https: Origin
  let open: ProgramTunnel
  let closed: ProgramTunnel
  beforeAll(async () => {
    classes = folder(scene)
    await output(scene, ['javac', '-d', classes, SOURCE])
    ca = await localCa(scene)
    http = await webOrigin()
    https = await webOrigin(ca)
    open = await ProgramTunnel.start(scene, 'agent')
    closed = await ProgramTunnel.start(scene, 'reverse', { listenerArgs: PASSWORD })
  })

  /** Pages, and a WebSocket that sends back what it gets. */
  async function webOrigin(tls?: LocalCa): Promise<Origin> {
    const pages = contentListener(Buffer.alloc(0))
    const server = tls === undefined ? createServer(pages) : createHttpsServer({ cert: tls.cert, key: tls.key }, pages)
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (ws) => ws.on('message', (message, isBinary) => ws.send(message, { binary: isBinary })))
    scene.own(() => server.closeAllConnections())
    return await listen(scene, server)
  }

  interface Run {
    readonly tunnel: ProgramTunnel
    readonly login?: readonly string[]
    readonly flags?: readonly string[]
  }
  /** What became of each request, in one run of the program. */
  const java = async (
    { tunnel, login = [], flags = [] }: Run,
    requests: readonly string[],
  ): Promise<readonly string[]> => {
    const program = ['java', BASIC_FOR_CONNECT, ...flags, '-cp', classes, 'ProxyClient']
    const input = Buffer.from(requests.map((line) => `${line}\n`).join(''))
    const told = await output(scene, [...program, `${tunnel.socksPort}`, ca.caFile, ...login], { input })
    return told.toString().slice(0, -1).split('\n')
  }
  const url = (scheme: 'http' | 'https' | 'ws' | 'wss', path: string): string =>
    `${scheme}://localhost:${(scheme === 'http' || scheme === 'ws' ? http : https).port}${path}`

  const requests = (): readonly string[] => [
    // first: on a connection to the proxy that is there already, Java asks for a WebSocket without CONNECT and without the host
    `websocket ${url('ws', '/')}`,
    `websocket ${url('wss', '/')}`,
    ...(['http', 'https'] as const).flatMap((scheme) => [
      `get ${url(scheme, '/hello/java')}`,
      `post ${url(scheme, '/post')}`,
      `chunks ${url(scheme, '/put')}`,
      `expect ${url(scheme, '/post')}`,
      `parallel ${url(scheme, '/hello/page')}`,
    ]),
  ]
  const pages = Array.from({ length: PARALLEL }, (_, index) => `200 hello page-${index}`).join(', ')
  const one = ['200 hello java', `200 ${BODY}`, `200 ${BODY}`, `200 ${BODY}`, pages]
  const answers = ['echoed hello from Java', 'echoed hello from Java', ...one, ...one]

  it('opens WebSockets, gets and posts', async () => {
    expect(await java({ tunnel: open }, requests())).toEqual(answers)
  })

  it('does so with an Authenticator', async () => {
    expect(await java({ tunnel: closed, login: LOGIN }, requests())).toEqual(answers)
  })

  it('hears that there is a password, and of a port that refuses', async () => {
    const nobody = `get http://127.0.0.1:${await freePort()}/`
    expect(await java({ tunnel: open }, [nobody])).toEqual([expect.stringMatching(/^502 .*refused/i)])
    const before = http.connections() + https.connections()
    const asked = [`get ${url('http', '/hello/x')}`, `get ${url('https', '/hello/x')}`]
    const refused = '407 this proxy asks for a user name and password'
    expect(await java({ tunnel: closed }, asked)).toEqual([refused, '407 '])
    expect(http.connections() + https.connections()).toBe(before)
  })

  describe('and the older HttpURLConnection', () => {
    it.each(['4', '5'])('gets by SOCKS, version %s', async (version) => {
      const flags = [`-DsocksProxyVersion=${version}`]
      const asked = [`socks ${url('http', '/hello/java')}`]
      expect(await java({ tunnel: open, flags }, asked)).toEqual(['200 hello java'])
    })
  })

  it('made every connection to the origins through the tunnels', async () => {
    for (const { port, connections } of [http, https]) {
      await carriedAll([open, closed], [`localhost:${port}`, `127.0.0.1:${port}`], connections)
    }
  })
})
