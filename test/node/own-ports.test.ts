import { networkInterfaces } from 'node:os'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ServerOptions } from '../../src/node/options.js'
import { freePort } from '../support/ports.js'
import { socksProxy } from '../support/proxies.js'
import { httpOrigin } from './http-proxy/fixture.js'
import { newClient, startServer } from './library-fixture.js'

async function pair(options: Partial<ServerOptions> = {}) {
  const { url, port } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }], ...options })
  const { client } = newClient({ url, token: 'secret', socks: { port: 0 } })
  await client.start()
  const reached = async (host: string, target: number): Promise<boolean> => {
    const stream = await client.dial(host, target).catch((thrown: { code: string }) => {
      if (thrown.code === 'ERR_DIAL_NOT_ALLOWED') return undefined
      throw thrown
    })
    stream?.destroy()
    return stream !== undefined
  }
  return { port, socksPort: client.socksAddress?.port ?? 0, reached }
}

describe('what an exit dials', () => {
  it('is not a port of this process’s servers and clients, at any address of this machine', async () => {
    const metrics = await freePort()
    const { port, socksPort, reached } = await pair({ metricsListen: { host: '127.0.0.1', port: metrics } })
    const own = Object.values(networkInterfaces()).flatMap((addresses = []) =>
      addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
    )
    for (const target of [port, socksPort, metrics]) {
      for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::ffff:127.0.0.1', ...own]) {
        expect(await reached(host, target), `${host}:${target}`).toBe(false)
      }
    }
  })

  it('is none of these by an address with a zone, whatever else is allowed', async () => {
    const { port, reached } = await pair({ egressPolicy: () => undefined })
    for (const host of ['::1%lo', '::ffff:127.0.0.1%lo', '127.0.0.1'])
      expect(await reached(host, port), host).toBe(false)
  })

  it('is none of these through a proxy on this machine', async () => {
    const targetPort = await httpOrigin(() => {})
    const proxy = await socksProxy({ targetPort })
    onTestFinished(() => proxy.close())
    const { port, reached } = await pair({ exitProxy: `socks5://127.0.0.1:${proxy.port}` })
    expect(await reached('127.0.0.1', port)).toBe(false)
    expect(await reached('127.0.0.1', targetPort)).toBe(true)
    expect(proxy.requests).toEqual([`127.0.0.1:${targetPort}`])
  })

  it('is one of these where that is allowed', async () => {
    const { port, reached } = await pair({ allowOwnPorts: true })
    expect(await reached('127.0.0.1', port)).toBe(true)
  })

  it('may be any other listener of the process, and a port that was closed', async () => {
    const { reached } = await pair()
    expect(await reached('127.0.0.1', await httpOrigin(() => {}))).toBe(true)
    const { server, port } = await startServer({ tokens: [] })
    expect(await reached('127.0.0.1', port)).toBe(false)
    await server.close()
    const { createServer } = await import('node:net')
    const listener = createServer((socket) => socket.end())
    onTestFinished(() => void listener.close())
    await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve))
    expect(await reached('127.0.0.1', port)).toBe(true)
  })
})
