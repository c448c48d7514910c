import type { Server } from 'node:net'
import { socketIp } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { SocketAddress } from '../../ports.js'
import { errorCode } from '../system/error-code.js'

/**
 * Binds `server`; port 0 lets the system pick.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export function listen(server: Server, { host, port }: SocketAddress): Promise<SocketAddress> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(listenError(error, host, port))
    server.once('error', onError)
    try {
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', onError)
        const bound = server.address()
        if (bound === null || typeof bound === 'string') reject(new LinkSocksError('ERR_LISTEN', 'not a TCP port'))
        else resolve({ host: socketIp(bound.address), port: bound.port })
      })
    } catch (thrown) {
      reject(listenError(thrown, host, port))
    }
  })
}

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
      return `no permission to listen on port ${port} on ${host}`
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
