import type { Dialer } from '../ports.js'
import { AccessDialer } from './access-dialer.js'
import { type AccessSource, withAccess } from './dial/access-rules.js'
import { Lookups } from './dial/lookups.js'
import { allowAll, defaultEgressPolicy } from './dial/policy.js'
import { DirectDialer, type DirectDialerOptions } from './direct-dialer.js'
import { JudgingDialer } from './judging-dialer.js'
import { HttpProxyDialer } from './proxy/http-proxy-dialer.js'
import type { ProxyUrl } from './proxy/proxy-url.js'
import { SocksProxyDialer } from './proxy/socks-proxy-dialer.js'

export { type ProxyUrl, parseProxyUrl } from './proxy/proxy-url.js'

export interface ExitDialerOptions extends DirectDialerOptions {
  /** Everything leaves through this proxy. @default none, destinations are dialled directly */
  readonly proxy?: ProxyUrl | undefined
  /** Rules that hold on top of the policy, for the addresses of names too: behind a proxy these are looked up here then. */
  readonly access?: readonly AccessSource[] | undefined
}

/**
 * The dialer of an exit: direct or through a proxy, destinations judged by the egress policy either way. The proxy's own
 * address is the operator's choice and not judged.
 */
export function createExitDialer({ proxy, access = [], ...direct }: ExitDialerOptions): Dialer {
  const policy = direct.policy ?? defaultEgressPolicy
  if (proxy === undefined) return new DirectDialer({ ...direct, policy: withAccess(policy, access) })
  const dialer = createProxyDialer(proxy, { ...direct, policy })
  const judged = access.length === 0 ? dialer : new AccessDialer({ ...direct, dialer, access })
  return new JudgingDialer({ ...direct, dialer: judged })
}

function createProxyDialer(proxy: ProxyUrl, direct: DirectDialerOptions): Dialer {
  const inner = new DirectDialer({ ...direct, policy: allowAll })
  if (proxy.protocol === 'http') return new HttpProxyDialer({ ...direct, proxy, inner })
  const lookups = new Lookups(direct)
  return new SocksProxyDialer({
    ...direct,
    proxy,
    inner,
    resolve: (host, options) => lookups.lookup(host, options),
  })
}
