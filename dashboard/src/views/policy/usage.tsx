import { type ReactNode, useEffect, useState } from 'react'
import type { QuotaUse, Token, Traffic, Usage } from '../../api/types.js'
import { Confirm } from '../../parts/dialog.js'
import { tokenName } from '../../parts/names.js'
import { QuotaBar } from '../../parts/quota-bar.js'
import { tell, tellFailure } from '../../parts/small.js'
import { useSession } from '../../state/session.js'
import { bytes, moment, rate } from '../../text/format.js'
import { useLocale, useMessages } from '../../text/messages.js'

/** Pause between two looks at the figures. */
const EVERY_MS = 2_000

interface Followed {
  readonly usage: Usage | undefined
  readonly error: Error | undefined
  /** An answer that came by another call. */
  readonly set: (usage: Usage) => void
}

/** The figures of a token, asked for again and again while they are in sight. */
function useUsage(id: string): Followed {
  const { api } = useSession()
  const [usage, setUsage] = useState<Usage>()
  const [error, setError] = useState<Error>()
  useEffect(() => {
    let shown = true
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const answer = await api.usage(id)
          if (!shown) return
          setUsage(answer)
          setError(undefined)
        }
      } catch (thrown) {
        if (shown) setError(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
      if (shown) timer = setTimeout(() => void look(), EVERY_MS)
    }
    void look()
    return () => {
      shown = false
      clearTimeout(timer)
    }
  }, [api, id])
  return { usage, error, set: setUsage }
}

/** What a token has carried, and what it was refused. */
export function UsagePanel({ token }: { token: Token }): ReactNode {
  const t = useMessages()
  const locale = useLocale()
  const { usage, error, set } = useUsage(token.id)
  if (usage === undefined) {
    return error === undefined ? (
      <p className="muted loading">{t.list.loading}</p>
    ) : (
      <p className="problem" role="alert">
        {t.list.failed(error.message)}
      </p>
    )
  }
  return (
    <div className="usage">
      {usage.quota !== null && <QuotaPart name={tokenName(token)} quota={usage.quota} />}
      <TrafficTable usage={usage} />
      <Refusals refusals={usage.refusals} />
      <div className="usage-foot">
        <span className="muted">{t.usage.since(moment(usage.since, locale))}</span>
        <Reset token={token} onReset={set} />
      </div>
    </div>
  )
}

function QuotaPart({ name, quota }: { name: string; quota: QuotaUse }): ReactNode {
  const t = useMessages()
  const locale = useLocale()
  const facts = [
    t.policy.periods[quota.period],
    t.policy.directions[quota.direction ?? 'both'],
    ...(quota.resets_at === null ? [] : [t.usage.resetsAt(moment(quota.resets_at, locale))]),
  ]
  return (
    <section className="usage-quota" aria-label={t.policy.quota}>
      <QuotaBar quota={quota} of={name} />
      <span className="muted">{facts.join(' · ')}</span>
    </section>
  )
}

interface ResetProps {
  readonly token: Token
  readonly onReset: (usage: Usage) => void
}

/** Begins to count again, after a question. */
function Reset({ token, onReset }: ResetProps): ReactNode {
  const t = useMessages()
  const { api, tokens, mayWrite } = useSession()
  const [asking, setAsking] = useState(false)
  const name = tokenName(token)
  if (!mayWrite) return null
  const reset = async (): Promise<void> => {
    try {
      onReset(await api.resetUsage(token.id))
      tell(t.usage.resetDone)
    } catch (error) {
      tellFailure(name, error)
    }
    await tokens.reload()
  }
  return (
    <>
      <button type="button" className="button small" onClick={() => setAsking(true)}>
        {t.usage.reset}
      </button>
      {asking && (
        <Confirm
          title={t.usage.resetTitle(name)}
          lines={[t.usage.resetLead]}
          action={t.usage.reset}
          onConfirm={reset}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}

function TrafficTable({ usage }: { usage: Usage }): ReactNode {
  const t = useMessages()
  const row = (title: string, { up, down }: Traffic, text: (count: number) => string): ReactNode => (
    <tr>
      <th scope="row">{title}</th>
      <td className="num">{text(up)}</td>
      <td className="num">{text(down)}</td>
    </tr>
  )
  return (
    <table className="usage-table">
      <caption className="off-screen">{t.usage.traffic}</caption>
      <thead>
        <tr>
          <td />
          <th scope="col">{t.policy.directions.up}</th>
          <th scope="col">{t.policy.directions.down}</th>
        </tr>
      </thead>
      <tbody>
        {row(t.usage.now, usage.rate, rate)}
        {row(t.usage.day, usage.day, bytes)}
        {row(t.usage.month, usage.month, bytes)}
        {row(t.usage.total, usage.total, bytes)}
        {row(t.usage.throttled, usage.throttled, bytes)}
        <tr>
          <th scope="row">{t.usage.dropped}</th>
          <td className="num" colSpan={2}>
            {usage.dropped_datagrams.toLocaleString()}
          </td>
        </tr>
      </tbody>
    </table>
  )
}

function Refusals({ refusals }: { refusals: Usage['refusals'] }): ReactNode {
  const t = useMessages()
  const some = Object.entries(refusals).filter(([, count]) => count > 0)
  return (
    <section className="usage-refusals" aria-labelledby="refusals">
      <h3 id="refusals">{t.usage.refusals}</h3>
      {some.length === 0 && <p className="muted">{t.usage.noRefusals}</p>}
      <dl>
        {some.map(([reason, count]) => (
          <div key={reason}>
            <dt>{t.usage.reasons[reason] ?? reason}</dt>
            <dd className="num">{count.toLocaleString()}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
