import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2, createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { socksConnect } from '../../support/e2e/socks.js'
import { readAll } from '../../support/e2e/targets.js'
import { within } from '../../support/wait.js'
import { type LocalCa, localCa } from '../support/programs/ca.js'
import { listen, type Origin } from '../support/programs/origin.js'
import { describeWith, output } from '../support/programs/programs.js'
import { ProgramTunnel } from '../support/programs/tunnel.js'

const MB = 1024 * 1024
/** Node refuses streams of a session that holds more memory than 10 MB. */
const ROOMY = { maxSessionMemory: 64 }

describeWith(['openssl'], 'WebSocket through the tunnel', () => {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let tunnel: ProgramTunnel
  beforeAll(async () => {
    ca = await localCa(scene)
    tunnel = await ProgramTunnel.start(scene, 'agent')
  })

  /** Sends messages back, and ends with a code when it is asked to. */
  const echo = async (tls: boolean): Promise<Origin> => {
    const server = tls ? createHttpsServer({ cert: ca.cert, key: ca.key }) : createServer()
    const sockets = new WebSocketServer({ server, perMessageDeflate: true, maxPayload: 32 * MB })
    sockets.on('connection', (ws) => {
      scene.own(() => ws.terminate())
      ws.on('message', (message: Buffer, isBinary) => {
        if (isBinary) ws.send(message)
        else ws.close(Number.parseInt(message.toString(), 10), 'as you asked')
      })
    })
    return await listen(scene, server)
  }
  const open = async (tls: boolean, port: number): Promise<WebSocket> => {
    const plain = await socksConnect(scene, tunnel.socksPort, ['localhost', port])
    const socket = tls ? connectTls({ socket: plain, ca: ca.ca, servername: 'localhost' }) : plain
    const url = `${tls ? 'wss' : 'ws'}://localhost:${port}/`
    const ws = new WebSocket(url, { createConnection: () => socket })
    scene.own(() => ws.terminate())
    await within(once(ws, 'open'), 'open WebSocket')
    return ws
  }

  describe.each([false, true])('(TLS: %s)', (tls) => {
    it('echoes messages from 0 bytes to 16 MB', async () => {
      const { port } = await echo(tls)
      const ws = await open(tls, port)
      for (const size of [0, 1, 125, 126, 65_535, 65_536, MB, 16 * MB]) {
        const message = randomFillSync(Buffer.alloc(size))
        const answer = once(ws, 'message')
        ws.send(message)
        const [echoed] = (await within(answer, `message of ${size} bytes`)) as [Buffer]
        expect(sha256(echoed)).toBe(sha256(message))
      }
      await tunnel.carried(`localhost:${port}`)
    })

    it('echoes 500 messages in order', async () => {
      const ws = await open(tls, (await echo(tls)).port)
      const received: number[] = []
      const all = new Promise<void>((resolve) => {
        ws.on('message', (message: Buffer) => {
          received.push(message.readUInt32BE(0))
          if (received.length === 500) resolve()
        })
      })
      for (let index = 0; index < 500; index++) {
        const message = Buffer.alloc(4 + (index % 50) * 100)
        message.writeUInt32BE(index)
        ws.send(message)
      }
      await within(all, () => `500 messages, only ${received.length}`)
      expect(received).toEqual(Array.from({ length: 500 }, (_, index) => index))
    })

    it('answers a ping', async () => {
      const ws = await open(tls, (await echo(tls)).port)
      const pong = once(ws, 'pong')
      ws.ping('are you there')
      const [payload] = (await within(pong, 'pong')) as [Buffer]
      expect(payload.toString()).toBe('are you there')
    })

    it.each([1000, 1001, 4321])('is told close code %d and its reason', async (code) => {
      const ws = await open(tls, (await echo(tls)).port)
      const closed = once(ws, 'close')
      ws.send(`${code}`)
      const [received, reason] = (await within(closed, 'close')) as [number, Buffer]
      expect([received, reason.toString()]).toEqual([code, 'as you asked'])
    })
  })
})

describeWith(['openssl'], 'HTTP/2 through the tunnel', () => {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let tunnel: ProgramTunnel
  let h2: Origin
  beforeAll(async () => {
    ca = await localCa(scene)
    tunnel = await ProgramTunnel.start(scene, 'agent')
    const server = createSecureServer({ cert: ca.cert, key: ca.key, ...ROOMY })
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {})
      stream.respond({ ':status': 200, path: headers[':path'] })
      if (headers[':method'] === 'POST') stream.pipe(stream)
      else stream.end(page(headers[':path'] ?? ''))
    })
    h2 = await listen(scene, server)
  })

  /** Some kilobytes that no other path has. */
  const page = (path: string): Buffer => Buffer.from(`${path}\n`.repeat(2_000))
  const session = async (): Promise<ClientHttp2Session> => {
    const socket = await socksConnect(scene, tunnel.socksPort, ['localhost', h2.port])
    const tls = connectTls({ socket, ca: ca.ca, servername: 'localhost', ALPNProtocols: ['h2'] })
    const http2 = connectHttp2(`https://localhost:${h2.port}`, { ...ROOMY, createConnection: () => tls })
    scene.own(() => http2.destroy())
    await within(once(http2, 'connect'), 'HTTP/2 session')
    expect(tls.alpnProtocol).toBe('h2')
    return http2
  }

  it('fetches 100 pages on one connection at the same time', async () => {
    const before = h2.connections()
    const http2 = await session()
    const paths = Array.from({ length: 100 }, (_, index) => `/page/${index}`)
    const streams = paths.map((path) => http2.request({ ':path': path }))
    const pages = await Promise.all(streams.map((stream) => readAll(stream)))
    expect(pages.map(sha256)).toEqual(paths.map((path) => sha256(page(path))))
    expect(h2.connections()).toBe(before + 1)
    await tunnel.carried(`localhost:${h2.port}`)
  })

  it('echoes 1 MB on each of 16 streams, both ways at the same time', async () => {
    const http2 = await session()
    const bodies = Array.from({ length: 16 }, () => randomFillSync(Buffer.alloc(MB)))
    const echoed = bodies.map((body) => readAll(http2.request({ ':method': 'POST' }).end(body)))
    expect((await Promise.all(echoed)).map(sha256)).toEqual(bodies.map(sha256))
  })

  it('goes on with the other streams when one is cancelled', async () => {
    const http2 = await session()
    const cancelled = http2.request({ ':method': 'POST' })
    cancelled.on('error', () => {})
    cancelled.write('never ended')
    await within(once(cancelled, 'response'), 'response')
    const closed = once(cancelled, 'close')
    cancelled.close(8)
    await within(closed, 'end of the cancelled stream')
    expect(await readAll(http2.request({ ':path': '/after' }))).toEqual(page('/after'))
  })

  describeWith(['curl'], 'curl --http2', () => {
    it('fetches 50 pages on one connection', async () => {
      const before = h2.connections()
      const proxy = ['--proxy', `socks5h://${tunnel.address}`, '--cacert', ca.caFile]
      const format = ['-o', '/dev/null', '-w', '%{http_version} %{size_download}\\n']
      const urls = `https://localhost:${h2.port}/page/[10-59]`
      const said = await output(scene, ['curl', '-sS', '-Z', '--http2', ...proxy, ...format, urls])
      const lines = said.toString().trim().split('\n')
      expect(lines).toEqual(Array.from({ length: 50 }, () => `2 ${page('/page/10').length}`))
      expect(h2.connections()).toBe(before + 1)
    })
  })
})
