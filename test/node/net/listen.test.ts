import { connect, createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type BoundPort, closeServers, listen, listenError } from '../../../src/node/net/listen.js'
import { listenTcp } from '../../../src/node/net/tcp-listener.js'
import { freePort } from '../../support/ports.js'
import { until } from '../../support/wait.js'

/** Whether a connection to a port is accepted. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function hasIpv6(): Promise<boolean> {
  const server = createServer()
  try {
    await listen(server, { host: '::1', port: 0 }, createServer)
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function open(host: string, port: number): Promise<BoundPort & { readonly accepted: string[] }> {
  const accepted: string[] = []
  const server = createServer((socket) => {
    accepted.push(socket.localAddress ?? '')
    socket.on('error', () => {})
    socket.end()
  })
  const bound = await listen(server, { host, port }, createServer)
  onTestFinished(() => closeServers(bound.servers))
  return { ...bound, accepted }
}

describe('listen()', () => {
  it.each(['localhost', 'LOCALHOST'])(
    'takes %s for both families, on one port that the system picked',
    async (host) => {
      const { address, servers, accepted } = await open(host, 0)
      expect(address).toEqual({ host: '127.0.0.1', port: expect.any(Number) })
      const families = (await hasIpv6()) ? ['127.0.0.1', '::1'] : ['127.0.0.1']
      expect(servers).toHaveLength(families.length)
      for (const family of families) expect(await answers(family, address.port)).toBe(true)
      await until(() => accepted.length === families.length)
      expect(accepted).toEqual(families)
    },
  )

  it('takes localhost on a port of the caller, and leaves neither when one is taken', async ({ skip }) => {
    if (!(await hasIpv6())) skip('no IPv6 here')
    const taken = await open('::1', 0)
    const failed = open('localhost', taken.address.port)
    await expect(failed).rejects.toThrow(`port ${taken.address.port} on ::1 is already in use`)
    expect(await answers('127.0.0.1', taken.address.port)).toBe(false)
    const port = await freePort()
    expect((await open('localhost', port)).address.port).toBe(port)
  })

  it.each(['127.0.0.1', '0.0.0.0'])('takes %s for what it is', async (host) => {
    const { servers, address } = await open(host, 0)
    expect([servers.length, address.host]).toEqual([1, host])
  })
})

describe('listenTcp() on localhost', () => {
  it('serves both families, counts them together and closes both', async () => {
    const families: string[] = []
    const listener = await listenTcp({
      host: 'localhost',
      port: 0,
      onConnection: (stream, { localAddress }) => {
        families.push(localAddress().host)
        stream.close()
      },
    })
    const { port } = listener.address
    const hosts = (await hasIpv6()) ? ['127.0.0.1', '::1'] : ['127.0.0.1']
    for (const host of hosts) expect(await answers(host, port)).toBe(true)
    await until(() => families.length === hosts.length)
    await listener.close()
    expect(families).toEqual(hosts)
    for (const host of hosts) expect(await answers(host, port)).toBe(false)
  })
})

describe('listenError', () => {
  it.each([
    [443, ': ports below 1024 are for root, and for programs with CAP_NET_BIND_SERVICE'],
    [1_023, ': ports below 1024 are for root, and for programs with CAP_NET_BIND_SERVICE'],
    [1_024, ''],
  ])('says of port %i why there is no permission', (port, why) => {
    const refused = Object.assign(new Error('refused'), { code: 'EACCES' })
    expect(listenError(refused, '0.0.0.0', port).message).toBe(
      `no permission to listen on port ${port} on 0.0.0.0${why}`,
    )
  })
})
