import { isLoopback } from '../address.js'
import { createExitDialer, parseProxyUrl } from '../exit/create-exit-dialer.js'
import type { AccessSource } from '../exit/dial/access-rules.js'
import { defaultEgressPolicy } from '../exit/dial/policy.js'
import type { Logger } from '../log.js'
import type { Dialer, EgressPolicy } from '../ports.js'
import { exceptOwnPorts } from './net/own-ports.js'
import { nodeResolve } from './net/resolve.js'
import { connectTcp } from './net/tcp-connect.js'
import { bindDatagrams } from './net/udp-socket.js'
import { nodeClock } from './system/clock.js'

export interface ExitOptions {
  readonly exitProxy?: string | undefined
  readonly egressPolicy?: EgressPolicy | undefined
  readonly udpTimeoutMs?: number | undefined
  readonly allowOwnPorts?: boolean | undefined
}

/**
 * Makes dialers that leave from this machine, one for each link: what bounds a dialer's look-ups then bounds a peer.
 * @param dialRules hold for all of them, those that a dialer is made with on top
 * @throws {LinkSocksError} ERR_OPTION for a proxy that can't be used
 */
export function exitDialers(
  { exitProxy, egressPolicy, udpTimeoutMs, allowOwnPorts = false }: ExitOptions,
  log: Logger,
  dialRules: AccessSource,
): (rules?: AccessSource) => Dialer {
  const proxy = exitProxy === undefined ? undefined : parseProxyUrl(exitProxy)
  // behind a proxy on another machine these would be that machine's; names are looked up by the proxy, and not judged here
  const here = proxy === undefined || isLoopback(proxy.host)
  const policy = here && !allowOwnPorts ? exceptOwnPorts(egressPolicy ?? defaultEgressPolicy) : egressPolicy
  return (rules) =>
    createExitDialer({
      proxy,
      policy,
      access: rules === undefined ? [dialRules] : [dialRules, rules],
      udpTimeoutMs,
      log,
      resolve: nodeResolve,
      connectTcp,
      bindDatagrams,
      clock: nodeClock,
    })
}
