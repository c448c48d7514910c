import { LinkSocksError } from '../../errors.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { Token } from '../tokens/tokens.js'
import type { Identity } from './authenticate.js'
import { instanceKey } from './held-links.js'

/** Client instances of some tokens, and how many there may be. */
interface Limited {
  /** Whose policy says so. */
  readonly token: Token
  readonly limit: number
  readonly members: readonly Token[]
}

/**
 * Whether the policies let another client in: `max_clients` of its own token, and for a connector that of its reverse token, which counts
 * the instances of all its connector tokens together. Another link of an instance that is there needs no room.
 * @returns whose policy does not
 */
export function crowdedToken({ token, instance }: Pick<Identity, 'token' | 'instance'>): Token | undefined {
  return limitsOf(token).find((limited) => {
    const { free, leaving } = roomOf(limited, groupOf(token, instance))
    return !free && leaving === undefined
  })?.token
}

/** Ends instances that are suspended, the longest first, where a client is let in that needs their place. */
export function takeRoom({ token, instance }: Pick<Identity, 'token' | 'instance'>): void {
  for (const limited of limitsOf(token)) {
    const { free, leaving = [] } = roomOf(limited, groupOf(token, instance))
    if (free) continue
    const reason = new LinkSocksError('ERR_LIMIT', 'another client took its place: the token may have no more')
    for (const { session } of leaving) session.abort(reason)
  }
}

function limitsOf(token: Token): readonly Limited[] {
  const of = (limiting: Token, members: readonly Token[]): Limited[] => {
    const limit = limiting.traits.policy?.policy.maxClients
    return limit === undefined ? [] : [{ token: limiting, limit, members }]
  }
  const own = of(token, [token])
  return token.type === 'connector' ? [...own, ...of(token.reverse, [...token.reverse.connectors])] : own
}

/** @returns whether there is room, and else the sessions of the instance that may make some */
function roomOf(
  { limit, members }: Limited,
  group: string | undefined,
): { readonly free: boolean; readonly leaving?: readonly RelayClient[] | undefined } {
  const living = new Set(members.flatMap(({ clients }) => Array.from(clients, (client) => client.group)))
  const suspended = members.flatMap((token) => [...token.suspended])
  const away = new Set(suspended.map((client) => client.group).filter((of) => !living.has(of)))
  const count = living.size + away.size
  if (count < limit || (group !== undefined && (living.has(group) || away.has(group)))) return { free: true }
  // more than one has to go where the limit was lowered
  const leaving = new Set([...away].slice(0, count - limit + 1))
  if (limit === 0 || leaving.size <= count - limit) return { free: false }
  return { free: false, leaving: suspended.filter((client) => leaving.has(client.group)) }
}

function groupOf(token: Token, instance: string | undefined): string | undefined {
  return instance === undefined ? undefined : instanceKey(token, instance)
}
