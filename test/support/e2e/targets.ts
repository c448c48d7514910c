import { createHash, type Hash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Readable } from 'node:stream'
import { within } from '../wait.js'
import type { Scene } from './scene.js'

const BLOCK = Buffer.alloc(256 * 1024, 'long')

/** Whether this machine has an IPv6 loopback; some containers don't. */
export const HAS_IPV6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
)

/** A TCP server whose connections `serve` handles; both directions end on their own. `port` 0 takes any. */
export async function tcpTarget(
  scene: Scene,
  serve: (socket: Socket) => void,
  host = '127.0.0.1',
  port = 0,
): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    serve(socket)
  })
  server.listen(port, host)
  await once(server, 'listening')
  scene.own(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A TCP target that sends back what it receives. */
export function echoTarget(scene: Scene, host?: string): Promise<number> {
  return tcpTarget(scene, (socket) => socket.pipe(socket), host)
}

/** A TCP target that answers the first byte with `bytes` bytes, as fast as they are taken. */
export async function longAnswer(scene: Scene, bytes: number): Promise<{ port: number; sent: () => number }> {
  let sent = 0
  const port = await tcpTarget(scene, (socket) => {
    let left = bytes
    const pump = (): void => {
      while (left > 0 && !socket.destroyed) {
        const block = BLOCK.subarray(0, left)
        left -= block.length
        if (!socket.write(block, () => (sent += block.length))) return
      }
      if (left === 0) socket.end()
    }
    socket.on('drain', pump)
    socket.once('data', pump)
  })
  return { port, sent: () => sent }
}

/** A web server: GET answers `content`, PUT the SHA-256 of what was put. */
export async function httpOrigin(scene: Scene, content: Uint8Array): Promise<number> {
  const server = createHttpServer((incoming, response) => void answer(incoming, response, content))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scene.own(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function answer(incoming: IncomingMessage, response: ServerResponse, content: Uint8Array): Promise<void> {
  response.on('error', () => {})
  response.end(incoming.method === 'PUT' ? (await hashOf(incoming)).digest('hex') : content)
}

async function hashOf(stream: Readable): Promise<Hash> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return hash
}

/** GET on a connection to the origin: SHA-256 of the body. */
export async function download(socket: Socket): Promise<string> {
  const run = async (): Promise<string> => {
    const sent = request({ createConnection: () => socket }).end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return (await hashOf(response)).digest('hex')
  }
  return await within(run(), 'whole download')
}

/** PUT on a connection to the origin: the SHA-256 of what the origin received. */
export async function upload(socket: Socket, content: Uint8Array): Promise<string> {
  const run = async (): Promise<string> => {
    const sent = request({ method: 'PUT', createConnection: () => socket }).end(content)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return (await readAll(response)).toString()
  }
  return await within(run(), 'whole upload')
}

/** Everything up to the end of a stream, which stays open for writing. @throws what ends it before */
export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  const ended = new Promise<void>((resolve, reject) => {
    const onClose = (): void => (stream.errored ? reject(stream.errored) : resolve())
    stream.on('end', resolve)
    stream.on('error', reject)
    stream.on('close', onClose)
    // what was reset before anybody looked
    if (stream.destroyed) onClose()
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await within(ended, 'end of the stream')
  return Buffer.concat(chunks)
}

/** The error that ends a connection; data that comes before is read and forgotten. */
export async function errorOf(socket: Socket): Promise<unknown> {
  try {
    await readAll(socket)
  } catch (error) {
    return error
  }
  // a reset right behind the last bytes reaches Node as an end; whoever writes is told the truth
  return await new Promise((resolve) => {
    socket.write('?', (error) => resolve(error ?? new Error('the connection ended in order')))
  })
}

/** Sends datagrams back to where they came from. */
export async function udpEcho(scene: Scene, host: '127.0.0.1' | '::1', port = 0): Promise<number> {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4')
  socket.on('message', (message, from) => socket.send(message, from.port, from.address))
  socket.bind(port, host)
  await once(socket, 'listening')
  scene.own(() => socket.close())
  return socket.address().port
}
