import { type ReactNode, useMemo } from 'react'
import type { Client, Token } from '../api/types.js'
import { useList, useSession } from '../state/session.js'
import type { Messages } from '../text/en.js'
import { masked } from '../text/format.js'

/** How a token is called: its label, else the beginning of its text. */
export function tokenName(token: Pick<Token, 'label' | 'token'>): string {
  return token.label ?? masked(token.token)
}

export interface Names {
  readonly token: (id: string) => string
  /** A client that is still there. */
  readonly client: (id: string) => Client | undefined
}

/** Which client it is, where an address alone may stand for many: `Laptop (Forward, 203.0.113.9)`. */
export function clientName(t: Messages, names: Names, client: Client): string {
  return `${names.token(client.token_id)} (${t.roles[client.role]}, ${client.address})`
}

/** Names for ids that other lists mention; an id without a name stands for itself. */
export function useNames(): Names {
  const session = useSession()
  const tokens = useList(session.tokens).rows
  const clients = useList(session.clients).rows
  return useMemo(() => {
    const tokenNames = new Map(tokens.map((token) => [token.id, tokenName(token)]))
    const byId = new Map(clients.map((client) => [client.id, client]))
    return {
      token: (id) => tokenNames.get(id) ?? id.slice(0, 8),
      client: (id) => byId.get(id),
    }
  }, [tokens, clients])
}

interface TwoLinesProps {
  readonly first: string
  readonly second: string
  readonly firstClass?: string
  readonly secondClass?: string
  /** No line where there is none. */
  readonly third?: string | null | undefined
}

/** What has no room is cut off, and in sight under the pointer. */
export function TwoLines({ first, second, firstClass = '', secondClass = '', third }: TwoLinesProps): ReactNode {
  return (
    <div className="two-lines">
      <div className={`ellipsis ${firstClass}`} title={first}>
        {first}
      </div>
      <div className={`ellipsis second ${secondClass}`} title={second}>
        {second}
      </div>
      {third != null && (
        <div className="ellipsis second third" title={third}>
          {third}
        </div>
      )}
    </div>
  )
}

export function OneLine({ text }: { text: string }): ReactNode {
  return (
    <span className="ellipsis" title={text}>
      {text}
    </span>
  )
}
