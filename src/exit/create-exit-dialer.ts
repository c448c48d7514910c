import type { Dialer } from '../ports.js'
import { Lookups } from './dial/lookups.js'
import { allowAll, defaultEgressPolicy } from './dial/policy.js'
import { DirectDialer, type DirectDialerOptions } from './direct-dialer.js'
import { HttpProxyDialer } from './proxy/http-proxy-dialer.js'
import type { ProxyUrl } from './proxy/proxy-url.js'
import { SocksProxyDialer } from './proxy/socks-proxy-dialer.js'

export { type ProxyUrl, parseProxyUrl } from './proxy/proxy-url.js'

export interface ExitDialerOptions extends DirectDialerOptions {
  /** Everything leaves through this proxy. @default none, destinations are dialled directly */
  readonly proxy?: ProxyUrl | undefined
}

/**
 * The dialer of an exit: direct or through a proxy, destinations judged by the egress policy either way. The proxy's own
 * address is the operator's choice and not judged.
 */
export function createExitDialer({ proxy, ...direct }: ExitDialerOptions): Dialer {
  if (proxy === undefined) return new DirectDialer(direct)
  const inner = new DirectDialer({ ...direct, policy: allowAll })
  const policy = direct.policy ?? defaultEgressPolicy
  if (proxy.protocol === 'http') return new HttpProxyDialer({ proxy, inner, clock: direct.clock, policy })
  const lookups = new Lookups(direct)
  return new SocksProxyDialer({
    ...direct,
    proxy,
    inner,
    policy,
    resolve: (host, options) => lookups.lookup(host, options),
  })
}
