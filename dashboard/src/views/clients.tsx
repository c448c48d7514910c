import { type ReactNode, useDeferredValue, useMemo, useState } from 'react'
import type { Client } from '../api/types.js'
import { Confirm } from '../parts/dialog.js'
import { Heading, ListFrame } from '../parts/heading.js'
import { clientName, OneLine, TwoLines, useNames } from '../parts/names.js'
import { useNow } from '../parts/now.js'
import { Badge, Empty, fits, Search, tell, tellFailure } from '../parts/small.js'
import { type Column, VirtualTable } from '../parts/virtual-table.js'
import { hrefOf } from '../state/route.js'
import { useList, useSession } from '../state/session.js'
import { age, bytes, milliseconds } from '../text/format.js'
import { useMessages } from '../text/messages.js'

export function Clients(): ReactNode {
  const t = useMessages()
  const session = useSession()
  const state = useList(session.clients)
  const names = useNames()
  const [search, setSearch] = useState('')
  const [leaving, setLeaving] = useState<Client>()
  const wanted = useDeferredValue(search)
  const rows = useMemo(
    () =>
      state.rows.filter((row) =>
        fits(wanted, [row.address, row.subject, row.id, row.role, t.roles[row.role], names.token(row.token_id)]),
      ),
    [state.rows, wanted, names, t],
  )
  const columns = useColumns(session.mayWrite ? setLeaving : undefined)
  const disconnect = async ({ id }: Client): Promise<void> => {
    try {
      await session.api.disconnect(id)
      tell(t.clients.disconnected)
    } catch (error) {
      tellFailure(t.clients.disconnect, error)
    }
    await session.clients.reload()
  }
  return (
    <>
      <Heading title={t.views.clients} count={state.loaded ? t.list.shown(rows.length, state.total) : ''}>
        <Search value={search} hint={t.clients.searchHint} onChange={setSearch} />
      </Heading>
      <ListFrame
        state={state}
        shown={rows.length}
        reload={() => void session.clients.reload()}
        empty={
          <Empty title={t.clients.empty}>
            <p>{t.clients.emptyLead}</p>
          </Empty>
        }
      >
        <VirtualTable kind="clients" label={t.views.clients} rows={rows} columns={columns} />
      </ListFrame>
      {leaving !== undefined && (
        <Confirm
          title={t.clients.disconnectTitle(clientName(t, names, leaving))}
          lines={[t.clients.disconnectLead(leaving.streams)]}
          action={t.clients.disconnect}
          onConfirm={() => disconnect(leaving)}
          onClose={() => setLeaving(undefined)}
        />
      )}
    </>
  )
}

/** The time since, which goes on by itself. */
export function Age({ since }: { since: string }): ReactNode {
  return <time dateTime={since}>{age(useNow() - Date.parse(since))}</time>
}

function useColumns(leave: ((client: Client) => void) | undefined): readonly Column<Client>[] {
  const t = useMessages()
  const names = useNames()
  return useMemo(() => {
    const columns: Column<Client>[] = [
      {
        key: 'who',
        title: t.clients.who,
        cell: ({ address, id, subject }) => (
          <TwoLines first={address} second={id.slice(0, 8)} secondClass="mono" third={subject} />
        ),
        compare: (a, b) => a.address.localeCompare(b.address, undefined, { numeric: true }),
      },
      {
        key: 'token',
        title: t.clients.token,
        cell: (row) => <OneLine text={names.token(row.token_id)} />,
        compare: (a, b) => names.token(a.token_id).localeCompare(names.token(b.token_id)),
      },
      {
        key: 'role',
        title: t.clients.role,
        cell: (row) => (
          <>
            {t.roles[row.role]} {row.state === 'suspended' && <Badge tone="warn">{t.states.suspended}</Badge>}
          </>
        ),
        compare: (a, b) => a.role.localeCompare(b.role),
      },
      {
        key: 'since',
        title: t.clients.since,
        numeric: true,
        cell: ({ since }) => <Age since={since} />,
        compare: (a, b) => b.since.localeCompare(a.since),
      },
      {
        key: 'rtt',
        title: t.clients.rtt,
        numeric: true,
        cell: (row) => milliseconds(row.rtt_ms),
        compare: (a, b) => (a.rtt_ms ?? -1) - (b.rtt_ms ?? -1),
      },
      {
        key: 'streams',
        title: t.clients.streams,
        numeric: true,
        cell: (row) =>
          row.streams === 0 ? (
            0
          ) : (
            <a
              href={hrefOf('streams', { client: row.id })}
              aria-label={`${row.streams}: ${t.clients.streamsOf(clientName(t, names, row))}`}
            >
              {row.streams.toLocaleString()}
            </a>
          ),
        compare: (a, b) => a.streams - b.streams,
      },
      {
        key: 'received',
        title: t.clients.received,
        numeric: true,
        cell: (row) => bytes(row.received_bytes),
        compare: (a, b) => a.received_bytes - b.received_bytes,
      },
      {
        key: 'sent',
        title: t.clients.sent,
        numeric: true,
        cell: (row) => bytes(row.sent_bytes),
        compare: (a, b) => a.sent_bytes - b.sent_bytes,
      },
    ]
    if (leave === undefined) return columns
    const cell = (row: Client): ReactNode => (
      <button
        type="button"
        className="button small"
        aria-label={t.clients.disconnectOf(clientName(t, names, row))}
        onClick={() => leave(row)}
      >
        {t.clients.disconnect}
      </button>
    )
    return [...columns, { key: 'actions', title: t.list.actions, actions: true, cell }]
  }, [t, names, leave])
}
