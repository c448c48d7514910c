import { type ReactNode, useMemo } from 'react'
import { Heading } from '../parts/heading.js'
import { type Names, TwoLines, useNames } from '../parts/names.js'
import { useNow } from '../parts/now.js'
import { ThroughputPlot } from '../parts/plot.js'
import type { Activity } from '../state/live.js'
import { hrefOf, type View } from '../state/route.js'
import { useAlarms, useList, useSession } from '../state/session.js'
import { useStore } from '../state/store.js'
import { age, bytes, clockTime, rate } from '../text/format.js'
import { useLocale, useMessages } from '../text/messages.js'
import { AlarmList } from './alarms.js'

const ROWS = 6

export function Overview(): ReactNode {
  const t = useMessages()
  const { live } = useSession()
  const history = useStore(live.history)
  const alarms = useAlarms()
  const names = useNames()
  return (
    <div className="overview">
      <Heading title={t.views.overview} />
      {alarms.length > 0 && (
        <section className="card alarm-card" aria-label={t.views.alarms}>
          <AlarmList alarms={alarms} />
        </section>
      )}
      <Figures />
      <section className="card" aria-labelledby="throughput">
        <div className="card-head">
          <h2 id="throughput">{t.overview.throughput}</h2>
          <span className="muted">{t.overview.minutes}</span>
        </div>
        <ThroughputPlot history={history} />
      </section>
      <div className="columns">
        <BusiestClients names={names} />
        <NewestStreams names={names} />
        <ActivityFeed names={names} />
      </div>
    </div>
  )
}

function Figures(): ReactNode {
  const t = useMessages()
  const { live, server } = useSession()
  const info = useStore(server)
  const { received, sent } = useStore(live.history)
  const now = useStore(live.stats) ?? info
  const alarms = useAlarms().length
  const speed = (values: readonly (number | null)[]): string => rate(values.at(-1) ?? 0)
  return (
    <dl className="figures">
      <Figure name={t.overview.received} value={speed(received)} note={t.overview.total(bytes(now.received_bytes))} />
      <Figure name={t.overview.sent} value={speed(sent)} note={t.overview.total(bytes(now.sent_bytes))} />
      <Figure name={t.views.clients} value={now.clients.toLocaleString()} view="clients" />
      <Figure name={t.views.streams} value={now.streams.toLocaleString()} view="streams" />
      <Figure name={t.views.tokens} value={now.tokens.toLocaleString()} view="tokens" />
      <Figure name={t.views.alarms} value={String(alarms)} view="alarms" bad={alarms > 0} />
    </dl>
  )
}

interface FigureProps {
  readonly name: string
  readonly value: string
  readonly note?: string
  readonly view?: View
  readonly bad?: boolean
}

function Figure({ name, value, note, view, bad }: FigureProps): ReactNode {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd className={bad ? 'num bad' : 'num'}>{view === undefined ? value : <a href={hrefOf(view)}>{value}</a>}</dd>
      {note !== undefined && <dd className="note num">{note}</dd>}
    </div>
  )
}

interface PanelProps {
  readonly id: string
  readonly title: string
  readonly view?: View
  readonly count?: number
  readonly children: ReactNode
}

function Panel({ id, title, view, count, children }: PanelProps): ReactNode {
  const t = useMessages()
  return (
    <section className="card" aria-labelledby={id}>
      <div className="card-head">
        <h2 id={id}>{title}</h2>
        {view !== undefined && count !== undefined && count > 0 && <a href={hrefOf(view)}>{t.overview.all(count)}</a>}
      </div>
      {children}
    </section>
  )
}

function BusiestClients({ names }: { names: Names }): ReactNode {
  const t = useMessages()
  const { clients } = useSession()
  const { rows, total } = useList(clients)
  const busiest = useMemo(() => {
    const sum = (row: (typeof rows)[number]): number => row.received_bytes + row.sent_bytes
    return rows.toSorted((a, b) => sum(b) - sum(a)).slice(0, ROWS)
  }, [rows])
  return (
    <Panel id="busiest" title={t.overview.busiest} view="clients" count={total}>
      {busiest.length === 0 && <p className="muted">{t.clients.empty}</p>}
      <ul className="lines">
        {busiest.map((client) => (
          <li key={client.id}>
            <TwoLines first={names.token(client.token_id)} second={`${t.roles[client.role]} · ${client.address}`} />
            <TwoLines first={`↓ ${bytes(client.received_bytes)}`} second={`↑ ${bytes(client.sent_bytes)}`} />
          </li>
        ))}
      </ul>
    </Panel>
  )
}

function NewestStreams({ names }: { names: Names }): ReactNode {
  const t = useMessages()
  const now = useNow()
  const { newestStreams } = useSession()
  const { rows, total } = useList(newestStreams)
  return (
    <Panel id="newest" title={t.overview.newest} view="streams" count={total}>
      {rows.length === 0 && <p className="muted">{t.streams.empty}</p>}
      <ul className="lines">
        {rows.slice(0, ROWS).map((stream) => (
          <li key={stream.id}>
            <TwoLines
              first={stream.target ?? t.streams.udp}
              second={`${t.modes[stream.mode]} · ${names.token(stream.token_id)}`}
            />
            <TwoLines
              first={age(now - Date.parse(stream.since))}
              second={bytes(stream.received_bytes + stream.sent_bytes)}
            />
          </li>
        ))}
      </ul>
    </Panel>
  )
}

function ActivityFeed({ names }: { names: Names }): ReactNode {
  const t = useMessages()
  const locale = useLocale()
  const { live } = useSession()
  const activity = useStore(live.activity)
  const about = ({ label, token_id, address, message }: Activity): string => {
    if (message !== undefined) return message
    const token = label ?? (token_id === undefined ? '' : names.token(token_id))
    return [token, address].filter((text) => text !== undefined && text !== '').join(' · ')
  }
  return (
    <Panel id="activity" title={t.overview.activity}>
      {activity.length === 0 && <p className="muted">{t.overview.noActivity}</p>}
      <ul className="lines">
        {activity.slice(0, ROWS).map((happening) => (
          <li key={happening.key}>
            <TwoLines
              first={t.events[happening.event] ?? happening.event}
              second={about(happening)}
              third={happening.client_id === undefined ? undefined : happening.subject}
            />
            <time className="num muted" dateTime={happening.time}>
              {clockTime(happening.time, locale)}
            </time>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
