import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { socketPath } from '../../node/net/unix-folder.js'

/** A socket that this process opens for another one, and its copy of which it closes. */
export interface Passable {
  readonly fd: number
  readonly port: number
  close(): void
}

/**
 * Opens listening sockets, and closes them again as soon as `start` has given them to other processes: until then nothing turns
 * the event loop, so that nothing is accepted here.
 */
export async function passing<T>(sockets: readonly Passable[], start: (fds: readonly number[]) => T): Promise<T> {
  const started = start(sockets.map(({ fd }) => fd))
  for (const socket of sockets) socket.close()
  return started
}

export async function tcpSocket(host = '127.0.0.1', port = 0): Promise<Passable> {
  const server = createServer((socket) => socket.destroy())
  server.listen({ host, port, exclusive: true })
  await once(server, 'listening')
  const address = server.address()
  const bound = address !== null && typeof address === 'object' ? address.port : 0
  return { fd: descriptorOf(server), port: bound, close: () => server.close() }
}

/** @returns with its path: Node takes the one away that it opened */
export async function unixSocket(): Promise<Passable & { readonly path: string }> {
  const path = socketPath()
  const server = createServer((socket) => socket.destroy())
  server.listen(`${path}.new`)
  await once(server, 'listening')
  renameSync(`${path}.new`, path)
  return { fd: descriptorOf(server), port: 0, path, close: () => server.close() }
}

export async function udpSocket(): Promise<Passable> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const state = Object.getOwnPropertySymbols(socket).find((symbol) => symbol.description === 'state symbol')
  const { handle } = (state && Reflect.get(socket, state)) as { handle: { fd: number } }
  return { fd: handle.fd, port: socket.address().port, close: () => socket.close() }
}

/** One end of a connection. */
export async function connectedSocket(): Promise<Passable> {
  const server = createServer((socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const close = (): void => {
    socket.destroy()
    server.close()
  }
  return { fd: descriptorOf(socket), port, close }
}

function descriptorOf(owner: object): number {
  const { fd } = Reflect.get(owner, '_handle') as { fd: number }
  return fd
}
