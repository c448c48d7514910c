import { Meter } from '@base-ui/react/meter'
import type { ReactNode } from 'react'
import type { QuotaUse } from '../api/types.js'
import { shortBytes } from '../text/format.js'
import { useMessages } from '../text/messages.js'

/** Part of a quota from which on its bar warns. */
const NEARLY = 0.8

/** How much of a quota is used: a bar, and the same in words. */
export function QuotaBar({ quota, of }: { quota: QuotaUse; of: string }): ReactNode {
  const t = useMessages()
  const { used, bytes, used_up } = quota
  const text = used_up ? t.quota.usedUp(shortBytes(bytes)) : t.quota.used(shortBytes(used), shortBytes(bytes))
  const tone = used_up ? 'bad' : used >= bytes * NEARLY ? 'warn' : 'good'
  return (
    <span className="quota">
      <Meter.Root
        className={`quota-bar ${tone}`}
        value={Math.min(used, bytes)}
        max={bytes}
        aria-label={t.quota.of(of)}
        aria-valuetext={text}
      >
        <Meter.Track className="quota-track">
          <Meter.Indicator className="quota-fill" />
        </Meter.Track>
      </Meter.Root>
      <span className={`quota-text num ${used_up ? 'bad' : ''}`}>{text}</span>
    </span>
  )
}
