import { type ReactNode, useMemo } from 'react'
import type { Client, Token } from '../api/types.js'
import { useList, useSession } from '../state/session.js'
import { masked } from '../text/format.js'

/** How a token is called: its label, else the beginning of its text. */
export function tokenName(token: Pick<Token, 'label' | 'token'>): string {
  return token.label ?? masked(token.token)
}

export interface Names {
  readonly token: (id: string) => string
  /** Address of a client. */
  readonly client: (id: string) => string
}

/** Names for ids that other lists mention; an id without a name stands for itself. */
export function useNames(): Names {
  const session = useSession()
  const tokens = useList(session.tokens).rows
  const clients = useList(session.clients).rows
  return useMemo(() => {
    const tokenNames = new Map(tokens.map((token) => [token.id, tokenName(token)]))
    const addresses = new Map(clients.map(({ id, address }: Client) => [id, address]))
    return {
      token: (id) => tokenNames.get(id) ?? id.slice(0, 8),
      client: (id) => addresses.get(id) ?? id.slice(0, 8),
    }
  }, [tokens, clients])
}

interface TwoLinesProps {
  readonly first: ReactNode
  readonly second: ReactNode
}

export function TwoLines({ first, second }: TwoLinesProps): ReactNode {
  return (
    <div className="two-lines">
      <div className="ellipsis">{first}</div>
      <div className="ellipsis second">{second}</div>
    </div>
  )
}
