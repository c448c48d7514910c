import { type ReactNode, useDeferredValue, useMemo, useState } from 'react'
import type { Stream } from '../api/types.js'
import { Heading, ListFrame } from '../parts/heading.js'
import { clientName, type Names, OneLine, TwoLines, useNames } from '../parts/names.js'
import { Badge, Empty, fits, Search } from '../parts/small.js'
import { type Column, VirtualTable } from '../parts/virtual-table.js'
import { hrefOf, route } from '../state/route.js'
import { useList, useSession } from '../state/session.js'
import { useStore } from '../state/store.js'
import type { Messages } from '../text/en.js'
import { bytes, streamProtocol } from '../text/format.js'
import { useMessages } from '../text/messages.js'
import { Age } from './clients.js'

type Mode = Stream['mode']

const MODES: readonly Mode[] = ['forward', 'reverse', 'agent']

export function Streams(): ReactNode {
  const t = useMessages()
  const session = useSession()
  const state = useList(session.streams)
  const names = useNames()
  const client = useStore(route).query.get('client')
  const [search, setSearch] = useState('')
  const [mode, setMode] = useState<Mode | ''>('')
  const wanted = useDeferredValue(search)
  const rows = useMemo(() => {
    const byClient = (row: Stream): boolean => client === null || row.client_id === client || row.provider_id === client
    const byText = (row: Stream): boolean => wanted === '' || fits(wanted, textsOf(row, names))
    return state.rows.filter((row) => (mode === '' || row.mode === mode) && byClient(row) && byText(row))
  }, [state.rows, wanted, mode, client, names])
  const columns = useColumns(names)
  return (
    <>
      <Heading title={t.views.streams} count={state.loaded ? t.list.shown(rows.length, state.total) : ''}>
        <select
          className="select"
          aria-label={t.streams.mode}
          value={mode}
          onChange={(event) => setMode(modeOf(event.target.value))}
        >
          <option value="">{t.streams.allModes}</option>
          {MODES.map((name) => (
            <option key={name} value={name}>
              {t.modes[name]}
            </option>
          ))}
        </select>
        <Search value={search} hint={t.streams.searchHint} onChange={setSearch} />
      </Heading>
      {client !== null && (
        <p className="filter-note">
          {t.streams.onlyClient(clientOf(t, names, client))} <a href={hrefOf('streams')}>{t.streams.showAll}</a>
        </p>
      )}
      {state.rows.length < state.total && state.loaded && (
        <p className="filter-note muted">{t.list.cut(state.rows.length)}</p>
      )}
      <ListFrame
        state={state}
        shown={rows.length}
        reload={() => void session.streams.reload()}
        empty={
          <Empty title={t.streams.empty}>
            <p>{t.streams.emptyLead}</p>
          </Empty>
        }
      >
        <VirtualTable kind="streams" label={t.views.streams} rows={rows} columns={columns} />
      </ListFrame>
    </>
  )
}

function modeOf(value: string): Mode | '' {
  return MODES.find((name) => name === value) ?? ''
}

/** A client that has left stands for itself. */
function clientOf(t: Messages, names: Names, id: string): string {
  const client = names.client(id)
  return client === undefined ? id.slice(0, 8) : clientName(t, names, client)
}

function textsOf(row: Stream, names: Names): readonly (string | null)[] {
  const of = (id: string | null): readonly (string | null)[] => {
    const client = names.client(id ?? '')
    return client === undefined ? [id] : [names.token(client.token_id), client.address]
  }
  return [
    row.target,
    row.protocol,
    row.inbound,
    names.token(row.token_id),
    ...of(row.client_id),
    ...of(row.provider_id),
  ]
}

function useColumns(names: Names): readonly Column<Stream>[] {
  const t = useMessages()
  return useMemo(() => {
    const who = (id: string | null): ReactNode => {
      if (id === null) return <span className="muted">–</span>
      const client = names.client(id)
      if (client === undefined) return <span className="mono">{id.slice(0, 8)}</span>
      return <TwoLines first={names.token(client.token_id)} second={client.address} />
    }
    return [
      {
        key: 'target',
        title: t.streams.target,
        cell: (row) => (
          <span className="ellipsis" title={row.target ?? t.streams.udp}>
            {row.target ?? t.streams.udp} {row.state === 'opening' && <Badge tone="info">{t.states.opening}</Badge>}
          </span>
        ),
        compare: (a, b) => (a.target ?? '').localeCompare(b.target ?? ''),
      },
      {
        key: 'mode',
        title: t.streams.mode,
        cell: (row) => <TwoLines first={t.modes[row.mode]} second={streamProtocol(row)} />,
        compare: (a, b) => a.mode.localeCompare(b.mode),
      },
      {
        key: 'token',
        title: t.streams.token,
        cell: (row) => <OneLine text={names.token(row.token_id)} />,
        compare: (a, b) => names.token(a.token_id).localeCompare(names.token(b.token_id)),
      },
      {
        key: 'client',
        title: t.streams.client,
        cell: (row) => (row.mode === 'reverse' && row.client_id === null ? t.streams.proxyPort : who(row.client_id)),
      },
      { key: 'provider', title: t.streams.provider, wideOnly: true, cell: (row) => who(row.provider_id) },
      {
        key: 'age',
        title: t.streams.age,
        numeric: true,
        cell: ({ since }) => <Age since={since} />,
        compare: (a, b) => b.since.localeCompare(a.since),
      },
      {
        key: 'received',
        title: t.streams.received,
        numeric: true,
        cell: (row) => bytes(row.received_bytes),
        compare: (a, b) => a.received_bytes - b.received_bytes,
      },
      {
        key: 'sent',
        title: t.streams.sent,
        numeric: true,
        cell: (row) => bytes(row.sent_bytes),
        compare: (a, b) => a.sent_bytes - b.sent_bytes,
      },
    ]
  }, [t, names])
}
