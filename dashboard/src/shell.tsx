import { type ReactNode, useEffect, useRef, useState } from 'react'
import { AlarmsIcon, Brand, ClientsIcon, OverviewIcon, StreamsIcon, TokensIcon } from './parts/icons.js'
import { useNow } from './parts/now.js'
import { Settings } from './parts/settings.js'
import { Badge } from './parts/small.js'
import { hrefOf, route, VIEWS, type View } from './state/route.js'
import { signOut, useAlarms, useDraining, useSession } from './state/session.js'
import { useStore } from './state/store.js'
import { age } from './text/format.js'
import { useMessages } from './text/messages.js'
import { Alarms } from './views/alarms.js'
import { Clients } from './views/clients.js'
import { Overview } from './views/overview.js'
import { Streams } from './views/streams.js'
import { Tokens } from './views/tokens.js'

const ICONS = {
  overview: OverviewIcon,
  tokens: TokensIcon,
  clients: ClientsIcon,
  streams: StreamsIcon,
  alarms: AlarmsIcon,
} as const
const PAGES = { overview: Overview, tokens: Tokens, clients: Clients, streams: Streams, alarms: Alarms } as const

/** What surrounds every view. */
export function Shell(): ReactNode {
  const t = useMessages()
  const { view } = useStore(route)
  const first = useRef(true)
  const Page = PAGES[view]
  const title = t.views[view]
  useEffect(() => {
    document.title = `${title} · LinkSocks`
  }, [title])
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of view is what this waits for
  useEffect(() => {
    // who comes by keyboard or screen reader goes on in the new view; at sign-in too, as its form is gone
    document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: !first.current })
    first.current = false
  }, [view])
  return (
    <div className="shell">
      <button type="button" className="skip button" onClick={skip}>
        {t.skip}
      </button>
      <header className="side">
        <div className="brand">
          <Brand />
          <span>LinkSocks</span>
        </div>
        <Navigation view={view} />
        <ServerNote />
        <Settings onSignOut={signOut} />
      </header>
      <main id="content" tabIndex={-1}>
        <Banners />
        <Page />
      </main>
      <AlarmVoice />
    </div>
  )
}

/** A link would change the hash, which is the route. */
function skip(): void {
  document.getElementById('content')?.focus()
}

function Navigation({ view }: { view: View }): ReactNode {
  const t = useMessages()
  const alarms = useAlarms().length
  return (
    <nav aria-label={t.nav}>
      {VIEWS.map((name) => {
        const Icon = ICONS[name]
        return (
          <a key={name} href={hrefOf(name)} aria-current={name === view ? 'page' : undefined}>
            <Icon />
            <span>{t.views[name]}</span>
            {name === 'alarms' && alarms > 0 && <span className="count">{alarms}</span>}
          </a>
        )
      })}
    </nav>
  )
}

function ServerNote(): ReactNode {
  const t = useMessages()
  const { server, live } = useSession()
  const info = useStore(server)
  const connection = useStore(live.connection)
  const now = useNow()
  return (
    <div className="server-note">
      <span className={`dot ${connection}`}>{t.connection[connection]}</span>
      <span className="wide">{t.server.version(info.version)}</span>
      <span className="wide num">{t.server.up(age(now - Date.parse(info.started_at)))}</span>
      {info.key.role === 'read-only' && (
        <span title={t.server.readOnlyHint(info.key.name)}>
          <Badge tone="info">{t.server.readOnly}</Badge>
        </span>
      )}
    </div>
  )
}

function Banners(): ReactNode {
  const t = useMessages()
  const { live } = useSession()
  const draining = useDraining()
  const lost = useStore(live.connection) === 'lost'
  return (
    <div role="status" className="banners">
      {lost && <p className="banner bad">{t.connection.lost}</p>}
      {draining && <p className="banner warn">{t.server.draining}</p>}
    </div>
  )
}

/** Tells screen readers of alarms that come and go, whatever view is open. */
function AlarmVoice(): ReactNode {
  const t = useMessages()
  const alarms = useAlarms()
  const before = useRef<ReadonlyMap<string, string>>(new Map())
  const [words, setWords] = useState('')
  useEffect(() => {
    const now = new Map(alarms.map(({ code, subject, message }) => [`${code} ${subject}`, message]))
    const raised = [...now].filter(([key]) => !before.current.has(key)).map(([, message]) => t.alarms.raised(message))
    const cleared = [...before.current].filter(([key]) => !now.has(key)).map(([, message]) => t.alarms.cleared(message))
    before.current = now
    if (raised.length + cleared.length > 0) setWords([...raised, ...cleared].join('. '))
  }, [alarms, t])
  return (
    <div className="off-screen" role="status" aria-live="polite" id="alarm-voice">
      {words}
    </div>
  )
}
