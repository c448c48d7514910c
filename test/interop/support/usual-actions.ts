import { expect } from 'vitest'
import type { Scene } from '../../support/e2e/scene.js'
import { CONNECT, readBytes, SocksUdp, socksConnect, socksRequest } from '../../support/e2e/socks.js'
import { echoTarget, tcpTarget, udpEcho } from '../../support/e2e/targets.js'
import { freePort } from '../../support/ports.js'

/** Deployed programs compress messages from 512 KiB on. */
const BULK = Buffer.alloc(1_500_000, 'well compressible ')

/** What users do: each way a channel can begin and end. */
export async function usualActions(scene: Scene, socksPort: number): Promise<void> {
  const echo = await echoTarget(scene)
  for (const host of ['localhost', '127.0.0.1']) await halfClosed(scene, socksPort, host, echo)
  await pulled(scene, socksPort)
  expect((await socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', await freePort()])).rep).not.toBe(0)
  await aborted(scene, socksPort, echo)
  const udp = await SocksUdp.open(scene, socksPort)
  const target = await udpEcho(scene, '127.0.0.1')
  expect((await udp.exchange(['127.0.0.1', target], Buffer.from('ping'))).toString()).toBe('ping')
  udp.control.destroy()
}

async function halfClosed(scene: Scene, socksPort: number, host: string, port: number): Promise<void> {
  const socket = await socksConnect(scene, socksPort, [host, port])
  socket.write('hello')
  expect((await readBytes(socket, 5)).toString()).toBe('hello')
  socket.end()
}

async function pulled(scene: Scene, socksPort: number): Promise<void> {
  // deployed relays let what a target says first overtake the answer, and the request fails: it waits to be asked
  const port = await tcpTarget(scene, (socket) => socket.once('data', () => socket.end(BULK)))
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', port])
  socket.write('go')
  expect((await readBytes(socket, BULK.length)).equals(BULK)).toBe(true)
}

async function aborted(scene: Scene, socksPort: number, port: number): Promise<void> {
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', port])
  socket.write('gone')
  await readBytes(socket, 4)
  socket.resetAndDestroy()
}
