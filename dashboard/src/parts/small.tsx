import { Toast } from '@base-ui/react/toast'
import { type ReactNode, useEffect, useState } from 'react'
import { useMessages } from '../text/messages.js'
import { SearchIcon } from './icons.js'

export const toasts = Toast.createToastManager()

/** Says in passing what was done. */
export function tell(title: string): void {
  toasts.add({ title, timeout: 4_000 })
}

/** Says what went wrong, in the relay's own words, until it is put away. */
export function tellFailure(title: string, error: unknown): void {
  const description = error instanceof Error ? error.message : String(error)
  toasts.add({ title, description, type: 'error', priority: 'high', timeout: 10_000 })
}

export type Tone = 'neutral' | 'good' | 'warn' | 'bad' | 'info'

export function Badge({ tone = 'neutral', children }: { tone?: Tone; children: ReactNode }): ReactNode {
  return <span className={`badge ${tone}`}>{children}</span>
}

interface SearchProps {
  readonly value: string
  readonly hint: string
  readonly onChange: (value: string) => void
}

export function Search({ value, hint, onChange }: SearchProps): ReactNode {
  const t = useMessages()
  return (
    <div className="search">
      <SearchIcon />
      <input
        type="search"
        aria-label={t.list.search}
        placeholder={hint}
        value={value}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  )
}

interface EmptyProps {
  readonly title: string
  readonly children?: ReactNode
}

export function Empty({ title, children }: EmptyProps): ReactNode {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** Whether every word of a search occurs in one of the texts. */
export function fits(search: string, texts: readonly (string | number | null | undefined)[]): boolean {
  const all = texts.join('\n').toLowerCase()
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word))
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const follow = (): void => setMatches(list.matches)
    list.addEventListener('change', follow)
    follow()
    return () => list.removeEventListener('change', follow)
  }, [query])
  return matches
}
