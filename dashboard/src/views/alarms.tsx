import type { ReactNode } from 'react'
import type { Alarm } from '../api/types.js'
import { Heading } from '../parts/heading.js'
import { useNow } from '../parts/now.js'
import { Badge, Empty } from '../parts/small.js'
import { useAlarms } from '../state/session.js'
import { age } from '../text/format.js'
import { useMessages } from '../text/messages.js'

export function Alarms(): ReactNode {
  const t = useMessages()
  const alarms = useAlarms()
  return (
    <>
      <Heading title={t.views.alarms} count={String(alarms.length)} />
      {alarms.length === 0 ? (
        <Empty title={t.alarms.none}>
          <p>{t.alarms.noneLead}</p>
        </Empty>
      ) : (
        <AlarmList alarms={alarms} />
      )}
    </>
  )
}

export function AlarmList({ alarms }: { alarms: readonly Alarm[] }): ReactNode {
  const t = useMessages()
  const now = useNow()
  return (
    <ul className="alarms">
      {alarms.map(({ code, subject, message, since }) => (
        <li key={`${code} ${subject}`}>
          <Badge tone="bad">{t.alarms.codes[code] ?? code}</Badge>
          <span className="alarm-text">
            {message}
            {subject !== null && <code>{subject}</code>}
          </span>
          <time dateTime={since} className="num muted">
            {age(now - Date.parse(since))}
          </time>
        </li>
      ))}
    </ul>
  )
}
