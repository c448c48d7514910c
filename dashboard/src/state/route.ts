import { Store } from './store.js'

export const VIEWS = ['overview', 'tokens', 'clients', 'streams', 'alarms'] as const
export type View = (typeof VIEWS)[number]

export interface Route {
  readonly view: View
  readonly query: URLSearchParams
}

/** `#/streams?client=c1`; anything unknown is the overview. */
function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?')
  return { view: VIEWS.find((name) => name === path) ?? 'overview', query: new URLSearchParams(query) }
}

export const route = new Store<Route>(parse(location.hash))

let held: (() => void) | undefined

/**
 * Keeps the view while it holds something that is not saved.
 * @param onLeave called in place of leaving, such as by the browser's Back
 * @returns lets go
 */
export function holdRoute(onLeave: () => void): () => void {
  held = onLeave
  return () => {
    if (held === onLeave) held = undefined
  }
}

export function followLocation(): void {
  addEventListener('hashchange', () => {
    if (held === undefined) return route.set(parse(location.hash))
    const { view, query } = route.get()
    history.pushState(null, '', hrefOf(view, Object.fromEntries(query)))
    held()
  })
}

export function hrefOf(view: View, query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams(query).toString()
  return `#/${view}${text === '' ? '' : `?${text}`}`
}
