import type { Server } from 'node:net'
import { socketIp } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { SocketAddress } from '../../ports.js'
import { listenError } from './tcp-listener.js'

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
        if (bound === null || typeof bound === 'string')
          return reject(new LinkSocksError('ERR_LISTEN', 'not a TCP port'))
        resolve({ host: socketIp(bound.address), port: bound.port })
      })
    } catch (thrown) {
      reject(listenError(thrown, host, port))
    }
  })
}
