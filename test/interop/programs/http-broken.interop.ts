import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { serverArgs } from '../../support/e2e/modes.js'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import { tcpTarget } from '../../support/e2e/targets.js'
import { freePort } from '../../support/ports.js'
import { within } from '../../support/wait.js'
import { describeWith, folder, output, run, startProgram } from '../support/programs/programs.js'
import { ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const MB = 1024 * 1024
/** curl's exit codes: a part of the body is missing, nothing came, a failure to receive. */
const PARTIAL = 18
const NOTHING = 52
const RECEIVING = 56
const HALF = 'x'.repeat(50_000)
const CHUNKED = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${HALF.length.toString(16)}\r\n${HALF}\r\n`

/** Settles when the other side ends a connection, in order or not. */
function endOf(socket: Socket): Promise<unknown> {
  return once(socket.resume(), 'end').catch((error: unknown) => error)
}

/** Writes chunk after chunk until the connection is gone. */
function goOn(socket: Socket): void {
  if (!socket.destroyed) socket.write('1\r\nx\r\n', () => setImmediate(goOn, socket))
}

describeWith(['curl'], 'curl by an HTTP proxy, when something breaks', () => {
  const scene = sceneOfSuite()
  let forward: ProgramTunnel
  let fast: ProgramTunnel
  beforeAll(async () => {
    forward = await ProgramTunnel.start(scene, 'forward')
    fast = await ProgramTunnel.start(scene, 'agent', { listenerArgs: ['-f'] })
  })
  const curl = (address: string, ...args: readonly string[]): readonly string[] => [
    ...['curl', '-sS', '--proxy', `http://${address}`],
    ...args,
  ]
  const STATUS = ['-o', '/dev/null', '-w', '%{http_code} %{http_connect}']

  describe.each([
    ['absolute form', []],
    ['CONNECT', ['-p']],
  ])('by %s', (_name, way) => {
    it.each([
      ['a length', `HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${HALF}`],
      ['chunks', CHUNKED],
    ])('misses the rest of a body with %s whose origin ends in between', async (_body, answer) => {
      const port = await tcpTarget(scene, (socket) => socket.once('data', () => socket.end(answer)))
      const { code, stdout } = await run(scene, curl(forward.address, ...way, `http://127.0.0.1:${port}/`))
      expect([PARTIAL, RECEIVING]).toContain(code)
      expect(stdout.toString()).toBe(HALF)
    })

    it('takes a body whole that ends with the connection', async () => {
      const answer = `HTTP/1.0 200 OK\r\n\r\n${HALF}`
      const port = await tcpTarget(scene, (socket) => socket.once('data', () => socket.end(answer)))
      const text = await output(scene, curl(forward.address, ...way, `http://127.0.0.1:${port}/`))
      expect(text.toString()).toBe(HALF)
    })

    it('hears the answer to a body that nobody reads to the end', async () => {
      const file = join(folder(scene), 'content')
      writeFileSync(file, Buffer.alloc(64 * MB))
      const refusal = 'HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large'
      const port = await tcpTarget(scene, (socket) => socket.once('data', () => socket.pause().end(refusal)))
      const upload = ['-H', 'Expect:', '--data-binary', `@${file}`, '-w', ' %{http_code}']
      const { stdout } = await run(scene, curl(forward.address, ...way, ...upload, `http://127.0.0.1:${port}/`))
      expect(stdout.toString()).toBe('too large 413')
    })

    it('ends the connection to the origin when it is killed', async () => {
      const sockets: Socket[] = []
      const port = await tcpTarget(scene, (socket) => {
        sockets.push(socket)
        socket.write(CHUNKED)
      })
      const killed = startProgram(scene, curl(forward.address, ...way, '-N', `http://127.0.0.1:${port}/`))
      if (killed.stdout !== null) await within(once(killed.stdout, 'data'), 'first bytes')
      killed.kill('SIGKILL')
      await within(once(killed, 'close'), 'end of curl')
      const [gone] = sockets.map((socket) => endOf(socket))
      // in absolute form a client may end its side and wait for the rest: what comes then shows that it is gone
      for (const socket of way.length === 0 ? sockets : []) goOn(socket)
      await within(Promise.resolve(gone), 'end of the connection to the origin')
    })
  })

  it('hears with fast open, too, that a port refuses, as far as it can', async () => {
    const url = `http://127.0.0.1:${await freePort()}/`
    expect((await output(scene, curl(fast.address, ...STATUS, url))).toString()).toBe('502 000')
    // it was connected already
    const { code, stdout } = await run(scene, curl(fast.address, '-p', ...STATUS, url))
    expect(stdout.toString()).toBe('000 200')
    expect([NOTHING, RECEIVING]).toContain(code)
  })

  it('hears that there is no provider', async () => {
    const server = await scene.server(serverArgs('agent', await freePort()))
    const { socksPort } = await scene.listener(server.url, ['-t', 'C'])
    const address = `127.0.0.1:${socksPort}`
    const url = 'http://localhost/'
    // each waits for a provider first
    const [plain, connect, socks4] = await Promise.all([
      run(scene, curl(address, ...STATUS, url)),
      run(scene, curl(address, '-p', ...STATUS, url)),
      run(scene, ['curl', '-sS', '--socks4a', address, url]),
    ])
    expect([plain.code, plain.stdout.toString()]).toEqual([0, '503 000'])
    expect([connect.code, connect.stdout.toString()]).toEqual([RECEIVING, '000 503'])
    expect(socks4.stderr).toContain('(91), request rejected or failed.')
  })
})

describeWith(['nc.openbsd'], 'nc by an HTTP proxy', () => {
  const scene = sceneOfSuite()

  it('-N ends its side after the request, and gets the whole answer', async () => {
    const answer = Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), Buffer.alloc(8 * MB, 'long')])
    const port = await tcpTarget(scene, (socket) => socket.once('data', () => socket.end(answer)))
    const tunnel = await ProgramTunnel.start(scene, 'forward')
    const input = Buffer.from(`GET http://localhost:${port}/ HTTP/1.0\r\n\r\n`)
    const text = await output(scene, ['nc.openbsd', '-N', '127.0.0.1', `${tunnel.socksPort}`], { input })
    expect(text.subarray(text.indexOf('\r\n\r\n') + 4).equals(Buffer.alloc(8 * MB, 'long'))).toBe(true)
  })
})
