import type { ReactNode } from 'react'
import { ApiError } from '../api/http.js'
import type { ListState } from '../state/list.js'
import { useDraining } from '../state/session.js'
import { useMessages } from '../text/messages.js'

interface HeadingProps {
  readonly title: string
  readonly count?: string
  readonly children?: ReactNode
}

/** Title of a view, which takes the focus when the view changes, and its controls. */
export function Heading({ title, count, children }: HeadingProps): ReactNode {
  return (
    <div className="heading">
      <h1 tabIndex={-1}>{title}</h1>
      {count !== undefined && <span className="muted num shown">{count}</span>}
      {children}
    </div>
  )
}

interface ListFrameProps {
  readonly state: ListState<unknown>
  /** Rows that pass the filters. */
  readonly shown: number
  readonly reload: () => void
  readonly empty: ReactNode
  readonly children: ReactNode
}

/** The table, or what to say in its place. */
export function ListFrame({ state, shown, reload, empty, children }: ListFrameProps): ReactNode {
  const t = useMessages()
  // it takes no new connections: that a list can't be had is no news then
  const draining = useDraining() && state.error instanceof ApiError && state.error.status === 0
  const error = draining ? undefined : state.error
  return (
    <>
      {error !== undefined && (
        <div className="banner warn" role="alert">
          {t.list.failed(error.message)}{' '}
          <button type="button" className="button small" onClick={reload}>
            {t.list.again}
          </button>
        </div>
      )}
      {!state.loaded && error === undefined && (
        <p className="muted loading">{draining ? t.list.draining : t.list.loading}</p>
      )}
      {state.loaded && state.rows.length === 0 && empty}
      {state.rows.length > 0 && shown === 0 && <p className="muted loading">{t.list.none}</p>}
      {shown > 0 && children}
    </>
  )
}
