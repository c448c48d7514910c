import { type ReactNode, useCallback, useDeferredValue, useMemo, useState } from 'react'
import type { Token } from '../api/types.js'
import { Confirm } from '../parts/dialog.js'
import { Heading, ListFrame } from '../parts/heading.js'
import { PlusIcon } from '../parts/icons.js'
import { tokenName } from '../parts/names.js'
import { Empty, fits, Search, tell, tellFailure } from '../parts/small.js'
import { VirtualTable } from '../parts/virtual-table.js'
import { useList, useSession } from '../state/session.js'
import { useStore } from '../state/store.js'
import { useMessages } from '../text/messages.js'
import { AddToken } from './add-token.js'
import { CommandsDialog } from './commands-dialog.js'
import { EditToken } from './edit-token.js'
import { PolicyDialog } from './policy-dialog.js'
import { type TokenAction, useTokenColumns } from './token-columns.js'

type Open =
  | { readonly name: 'add' }
  | { readonly name: 'commands' | 'policy' | 'edit' | 'remove'; readonly token: Token }

export function Tokens(): ReactNode {
  const t = useMessages()
  const session = useSession()
  const state = useList(session.tokens)
  const info = useStore(session.server)
  const [search, setSearch] = useState('')
  const [open, setOpen] = useState<Open>()
  const wanted = useDeferredValue(search)
  const rows = useMemo(
    () =>
      state.rows.filter((row) =>
        fits(wanted, [
          row.label,
          row.token,
          row.id,
          row.port,
          row.username,
          ...(row.proxy_protocols ?? []),
          row.type,
          t.types[row.type],
          t.states[row.state],
        ]),
      ),
    [state.rows, wanted, t],
  )
  const act = useActions(setOpen)
  const columns = useTokenColumns(state.rows, act, session.mayWrite)
  const close = (): void => setOpen(undefined)
  const add = session.mayWrite && (
    <button type="button" className="button primary" onClick={() => setOpen({ name: 'add' })}>
      <PlusIcon />
      {t.tokens.add}
    </button>
  )
  return (
    <>
      <Heading title={t.views.tokens} count={state.loaded ? t.list.shown(rows.length, state.total) : ''}>
        <Search value={search} hint={t.tokens.searchHint} onChange={setSearch} />
        {add}
      </Heading>
      {!info.durable && <p className="filter-note muted">{t.server.memory}</p>}
      <ListFrame
        state={state}
        shown={rows.length}
        reload={() => void session.tokens.reload()}
        empty={
          <Empty title={t.tokens.empty}>
            <p>{t.tokens.emptyLead}</p>
          </Empty>
        }
      >
        <VirtualTable kind="tokens" label={t.views.tokens} rows={rows} columns={columns} />
      </ListFrame>
      {open?.name === 'add' && (
        <AddToken
          reverse={state.rows.filter((row) => row.type === 'reverse' && !row.allow_manage_connector)}
          onClose={close}
          onAdded={(token) => setOpen({ name: 'commands', token })}
        />
      )}
      {open?.name === 'edit' && <EditToken token={open.token} onClose={close} />}
      {open?.name === 'commands' && <CommandsDialog token={open.token} onClose={close} />}
      {open?.name === 'policy' && <PolicyDialog token={open.token} onClose={close} />}
      {open?.name === 'remove' && <RemoveToken token={open.token} onClose={close} />}
    </>
  )
}

function useActions(setOpen: (open: Open) => void): (action: TokenAction, token: Token) => void {
  const t = useMessages()
  const session = useSession()
  return useCallback(
    (action, token) => {
      if (action === 'toggle') void toggle()
      else setOpen({ name: action, token })

      async function toggle(): Promise<void> {
        try {
          const changed = await session.api.changeToken(token.id, { enabled: !token.enabled })
          session.tokens.replace(changed)
          tell(changed.enabled ? t.tokens.enabledNow : t.tokens.disabledNow)
        } catch (error) {
          tellFailure(tokenName(token), error)
        }
        await session.tokens.reload()
      }
    },
    [session, setOpen, t],
  )
}

function RemoveToken({ token, onClose }: { token: Token; onClose: () => void }): ReactNode {
  const t = useMessages()
  const session = useSession()
  const connectors = token.connectors?.length ?? 0
  const lines = [
    t.tokens.removeLead(token.clients),
    ...(connectors > 0 ? [t.tokens.removeConnectors(connectors)] : []),
    ...(token.source === 'command-line' ? [t.tokens.removeCommandLine] : []),
  ]
  const remove = async (): Promise<void> => {
    try {
      await session.api.removeToken(token.id)
      tell(t.tokens.removed)
    } catch (error) {
      tellFailure(tokenName(token), error)
    }
    await session.tokens.reload()
  }
  return (
    <Confirm
      title={t.tokens.removeTitle(tokenName(token))}
      lines={lines}
      action={t.tokens.remove}
      onConfirm={remove}
      onClose={onClose}
    />
  )
}
