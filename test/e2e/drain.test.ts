import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { serverArgs } from '../support/e2e/modes.js'
import { type Scene, sceneOfTest } from '../support/e2e/scene.js'
import { CONNECT, readBytes, socksConnect, socksRequest } from '../support/e2e/socks.js'
import { errorOf, readAll } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually } from '../support/wait.js'

/** Streams end by themselves or the test fails: no drain ends before. */
const PATIENT = ['--drain-timeout', '1h', '--drain-idle', '1h']

interface SlowTarget {
  readonly port: number
  /** Every connection there was. */
  readonly sockets: readonly Socket[]
  /** Waits for the connection of this place in `sockets`. */
  reached(index: number): Promise<Socket>
}

/** A target that says when it has been reached and sends what it is told. */
async function slowTarget(scene: Scene): Promise<SlowTarget> {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  scene.own(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>((resolve) => void server.close(() => resolve()))
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const reached = (index: number): Promise<Socket> => eventually(`connection ${index}`, () => sockets[index])
  return { port: address.port, sockets, reached }
}

/** Whether nobody takes connections at a port of this machine. */
function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket
      .on('error', () => {})
      .on('connect', () => void socket.destroy())
      .on('close', (failed) => resolve(failed))
  })
}

describe('SIGTERM', () => {
  const scene = sceneOfTest()

  it.each(['server', 'client'] as const)('lets a stream of the %s come to its end, and then ends it', async (which) => {
    const target = await slowTarget(scene)
    const server = await scene.server(['-t', 'F', ...PATIENT], { port: await freePort() })
    const client = await scene.listener(server.url, ['-t', 'F', '-p', `${await freePort()}`, ...PATIENT])
    const stream = await socksConnect(scene, client.socksPort, ['127.0.0.1', target.port])
    const far = await target.reached(0)
    const [asked, port] = which === 'server' ? [server.process, server.port] : [client.process, client.socksPort]
    const ended = asked.end('SIGTERM')
    await eventually('end of what is taken', async () => (await refuses(port)) || undefined)
    stream.write('still there?')
    expect((await readBytes(far, 12)).toString()).toBe('still there?')
    far.end('yes')
    stream.end()
    expect((await readAll(stream)).toString()).toBe('yes')
    expect(await ended).toBe(0)
  })

  it('ends what is still open after --drain-timeout', async () => {
    const target = await slowTarget(scene)
    const server = await scene.server(['-t', 'F', '--drain-timeout', '300ms'])
    const client = await scene.listener(server.url, ['-t', 'F'])
    const error = errorOf(await socksConnect(scene, client.socksPort, ['127.0.0.1', target.port]))
    expect(await server.process.end('SIGTERM')).toBe(0)
    expect(await error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('waits for no stream that carries nothing', async () => {
    const target = await slowTarget(scene)
    const server = await scene.server(['-t', 'F', '--drain-timeout', '1h'])
    const client = await scene.listener(server.url, ['-t', 'F'])
    const error = errorOf(await socksConnect(scene, client.socksPort, ['127.0.0.1', target.port]))
    expect(await server.process.end('SIGTERM')).toBe(0)
    expect(await error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('has clients go on with the next server at once, while their streams stay with the old one', async () => {
    const target = await slowTarget(scene)
    const [old, next] = await Promise.all([scene.server(['-t', 'F', ...PATIENT]), scene.server(['-t', 'F'])])
    const client = await scene.listener(old.url, ['-t', 'F', '-u', next.url])
    const stream = await socksConnect(scene, client.socksPort, ['127.0.0.1', target.port])
    const ended = old.process.end('SIGTERM')
    await next.process.event('link.admitted')
    const other = await socksConnect(scene, client.socksPort, ['127.0.0.1', target.port])
    for (const [index, socket] of [stream, other].entries()) {
      const far = await target.reached(index)
      far.end('bye')
      socket.end()
      expect((await readAll(socket)).toString()).toBe('bye')
    }
    expect(await ended).toBe(0)
  })

  it('of one provider leaves new streams to the others', async () => {
    const target = await slowTarget(scene)
    const socksPort = await freePort()
    const { process, url } = await scene.server(serverArgs('agent', socksPort))
    const leaving = await scene.provider(url, ['-t', 'P', ...PATIENT])
    await process.event('socks.listening')
    const stream = await socksConnect(scene, socksPort, ['127.0.0.1', target.port])
    await scene.provider(url, ['-t', 'P'])
    const ended = leaving.end('SIGTERM')
    await leaving.event('cli.stopping')
    for (let i = 0; i < 4; i += 1) {
      expect((await socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', target.port])).rep).toBe(0)
    }
    await target.reached(4)
    const first = await target.reached(0)
    first.end('bye')
    stream.end()
    expect((await readAll(stream)).toString()).toBe('bye')
    expect(await ended).toBe(0)
    expect(target.sockets).toHaveLength(5)
  })
})
