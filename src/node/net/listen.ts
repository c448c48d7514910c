import type { Server } from 'node:net'
import { socketIp } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { SocketAddress } from '../../ports.js'
import { errorCode } from '../system/error-code.js'
import { ownPort } from './own-ports.js'

/** Ports that are tried when the system picks, until one is free for both families. */
const MAX_PICKS = 8

/** A port with all that listens on it. */
export interface BoundPort {
  readonly address: SocketAddress
  /** The server that was given, and one for the other family where the host is `localhost`. */
  readonly servers: readonly Server[]
}

/**
 * Binds `server`; port 0 lets the system pick. `localhost` is 127.0.0.1 and, where there is one, ::1, on one port: programs take either.
 * @param twin makes a server for the other family, whose connections become those of `server`
 * @throws {LinkSocksError} ERR_LISTEN
 */
export async function listen(server: Server, { host, port }: SocketAddress, twin: () => Server): Promise<BoundPort> {
  if (host.toLowerCase() !== 'localhost') return { address: await bind(server, { host, port }), servers: [server] }
  for (let picks = 1; ; picks += 1) {
    const address = await bind(server, { host: '127.0.0.1', port })
    try {
      const other = await bindTwin(twin(), address.port)
      other?.on('connection', (socket) => server.emit('connection', socket))
      other?.on('drop', (data) => server.emit('drop', data))
      other?.on('error', (error) => server.emit('error', error))
      return { address, servers: other === undefined ? [server] : [server, other] }
    } catch (thrown) {
      await new Promise<void>((resolve) => server.close(() => resolve()))
      if (port !== 0 || picks === MAX_PICKS) throw thrown
    }
  }
}

/** @returns `undefined` on a machine without IPv6 */
async function bindTwin(server: Server, port: number): Promise<Server | undefined> {
  try {
    await bind(server, { host: '::1', port })
    return server
  } catch (thrown) {
    const { cause } = LinkSocksError.from(thrown, 'ERR_LISTEN')
    if (['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errorCode(cause))) return undefined
    throw thrown
  }
}

function bind(server: Server, { host, port }: SocketAddress): Promise<SocketAddress> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(listenError(error, host, port))
    server.once('error', onError)
    try {
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', onError)
        const bound = server.address()
        if (bound === null || typeof bound === 'string') reject(new LinkSocksError('ERR_LISTEN', 'not a TCP port'))
        else {
          ownPort(server, bound.port)
          resolve({ host: socketIp(bound.address), port: bound.port })
        }
      })
    } catch (thrown) {
      server.off('error', onError)
      reject(listenError(thrown, host, port))
    }
  })
}

/** Stops accepting; settles when the connections of all are gone. Servers that don't listen any more are left alone. */
export async function closeServers(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))))
}

/** The first port that any user may take, where the system has not set another one. */
const UNPRIVILEGED = 1_024
const PRIVILEGE = ': ports below 1024 are for root, and for programs with CAP_NET_BIND_SERVICE'

/** Why `port` on `host` could not be bound, as ERR_LISTEN in plain words; for any kind of server. */
export function listenError(thrown: unknown, host: string, port: number): LinkSocksError {
  return new LinkSocksError('ERR_LISTEN', listenErrorText(errorCode(thrown), host, port), { cause: thrown })
}

function listenErrorText(code: string, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is already in use`
    case 'EACCES':
    case 'EPERM':
      return `no permission to listen on port ${port} on ${host}${port < UNPRIVILEGED ? PRIVILEGE : ''}`
    case 'EADDRNOTAVAIL':
      return `${host} is not an address of this machine`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} does not resolve`
    case 'ERR_SOCKET_BAD_PORT':
      return `${port} is not a port number`
    default:
      return `can't listen on port ${port} on ${host}${code === '' ? '' : `: ${code}`}`
  }
}
