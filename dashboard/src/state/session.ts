import { createContext, useContext, useEffect } from 'react'
import { Api, ApiError } from '../api/http.js'
import type { Alarm, Client, ServerInfo, Stream, Token } from '../api/types.js'
import { List, type ListState } from './list.js'
import { Live } from './live.js'
import { remember, remembered } from './preferences.js'
import { Store, useStore } from './store.js'

const KEY = 'linksocks.key'

/** Why the sign-in page is shown. */
export type Notice = { readonly kind: 'refused' | 'signed-out' } | { readonly kind: 'failed'; readonly message: string }

export type Phase =
  | { readonly name: 'signed-out'; readonly notice?: Notice }
  | { readonly name: 'resuming' }
  | { readonly name: 'signed-in'; readonly session: Session }

export const phase = new Store<Phase>({ name: remembered(KEY) === null ? 'signed-out' : 'resuming' })

/** All that belongs to one signed-in key. */
export class Session {
  readonly api: Api
  readonly server: Store<ServerInfo>
  readonly live: Live
  readonly tokens: List<Token>
  readonly clients: List<Client>
  readonly streams: List<Stream>
  readonly newestStreams: List<Stream>

  constructor(api: Api, server: ServerInfo) {
    this.api = api
    this.server = new Store(server)
    this.tokens = new List(api, { name: 'tokens', everyMs: 10_000, maxRows: 20_000 })
    this.clients = new List(api, { name: 'clients', everyMs: 4_000, maxRows: 20_000 })
    const newest = { order: 'newest' }
    this.streams = new List(api, { name: 'streams', query: newest, everyMs: 2_000, maxRows: 10_000 })
    this.newestStreams = new List(api, {
      name: 'streams',
      query: { ...newest, limit: '6' },
      everyMs: 2_000,
      maxRows: 1,
    })
    this.live = new Live(api, {
      changed: (kind) => {
        this.tokens.touch()
        if (kind === 'client') this.clients.touch()
      },
      missed: () => void this.#reload(),
    })
    void this.live.run()
  }

  get mayWrite(): boolean {
    return this.server.get().key.role === 'full'
  }

  close(): void {
    this.live.close()
  }

  async #reload(): Promise<void> {
    for (const list of [this.tokens, this.clients, this.streams, this.newestStreams]) list.touch()
    const server = await this.api.server().catch(() => undefined)
    if (server !== undefined) this.server.set(server)
  }
}

/** Whose answers count: an earlier key's may still come in. */
let current: Api | undefined

function leave(notice?: Notice): void {
  current = undefined
  const now = phase.get()
  if (now.name === 'signed-in') now.session.close()
  phase.set(notice === undefined ? { name: 'signed-out' } : { name: 'signed-out', notice })
}

/** @param keep whether the key outlives a reload of this tab */
export async function signIn(key: string, keep: boolean): Promise<void> {
  const api: Api = new Api(key, () => {
    if (current !== api) return
    remember(KEY, null)
    leave({ kind: 'refused' })
  })
  current = api
  try {
    const server = await api.server()
    if (current !== api) return
    remember(KEY, keep ? key : null)
    phase.set({ name: 'signed-in', session: new Session(api, server) })
  } catch (error) {
    if (current !== api || (error instanceof ApiError && error.status === 401)) return
    leave({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  }
}

export function signOut(): void {
  remember(KEY, null)
  leave({ kind: 'signed-out' })
}

/** Goes on with the key of this tab, when it was kept. */
export async function resume(): Promise<void> {
  const key = remembered(KEY)
  if (key !== null) await signIn(key, true)
}

export const SessionContext = createContext<Session | undefined>(undefined)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === undefined) throw new Error('not signed in')
  return session
}

/** The rows of a list, which stays fresh while the component is there. */
export function useList<T extends { readonly id: string }>(list: List<T>): ListState<T> {
  useEffect(() => list.watch(), [list])
  return useStore(list.state)
}

/** Whether the server takes nothing new; only the events tell, as a draining server answers no new calls either. */
export function useDraining(): boolean {
  const { live, server } = useSession()
  const stats = useStore(live.stats)
  const info = useStore(server)
  const lost = useStore(live.connection) === 'lost'
  return !lost && (stats?.draining ?? info.draining)
}

/** What is wrong now, every second anew. */
export function useAlarms(): readonly Alarm[] {
  const { live, server } = useSession()
  const stats = useStore(live.stats)
  const info = useStore(server)
  return stats?.alarms ?? info.alarms
}
