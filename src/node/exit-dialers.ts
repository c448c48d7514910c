import { createExitDialer, parseProxyUrl } from '../exit/create-exit-dialer.js'
import type { Logger } from '../log.js'
import type { Dialer, EgressPolicy } from '../ports.js'
import { nodeResolve } from './net/resolve.js'
import { connectTcp } from './net/tcp-connect.js'
import { bindDatagrams } from './net/udp-socket.js'
import { nodeClock } from './system/clock.js'

export interface ExitOptions {
  readonly exitProxy?: string | undefined
  readonly egressPolicy?: EgressPolicy | undefined
  readonly udpTimeoutMs?: number | undefined
}

/**
 * Makes dialers that leave from this machine, one for each link: what bounds a dialer's look-ups then bounds a peer.
 * @throws {LinkSocksError} ERR_OPTION for a proxy that can't be used
 */
export function exitDialers({ exitProxy, egressPolicy, udpTimeoutMs }: ExitOptions, log: Logger): () => Dialer {
  const proxy = exitProxy === undefined ? undefined : parseProxyUrl(exitProxy)
  return () =>
    createExitDialer({
      proxy,
      policy: egressPolicy,
      udpTimeoutMs,
      log,
      resolve: nodeResolve,
      connectTcp,
      bindDatagrams,
      clock: nodeClock,
    })
}
