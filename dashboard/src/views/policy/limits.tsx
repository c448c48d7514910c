import type { ReactNode } from 'react'
import { useMessages } from '../../text/messages.js'
import { Area, InputField, Section, SelectField } from './controls.js'
import { COUNTS, type PolicyDraft, RATES } from './draft.js'
import type { Edit } from './rules.js'

interface PartProps {
  readonly draft: PolicyDraft
  readonly edit: Edit
}

/** How many at a time. */
export function Counts({ draft: { counts }, edit }: PartProps): ReactNode {
  const t = useMessages()
  return (
    <Section title={t.policy.counts} hint={t.policy.countsHint} place="counts">
      <div className="policy-fields">
        {COUNTS.map((field) => (
          <InputField
            key={field}
            label={t.policy.countNames[field]}
            place={field}
            numeric
            placeholder={t.policy.noLimit}
            value={counts[field]}
            onChange={(text) => edit((draft) => ({ ...draft, counts: { ...draft.counts, [field]: text } }))}
          />
        ))}
      </div>
    </Section>
  )
}

/** Addresses that clients come from. */
export function Sources({ draft: { sources }, edit }: PartProps): ReactNode {
  const t = useMessages()
  return (
    <Section title={t.policy.sources} hint={t.policy.sourcesHint} place="sources">
      <Area
        label={t.policy.sources}
        placeholder={t.policy.anySource}
        value={sources}
        wide={100}
        onChange={(text) => edit((draft) => ({ ...draft, sources: text }))}
      />
    </Section>
  )
}

/** Certificates that clients have to prove. */
export function ClientSubjects({ draft: { clientSubjects }, edit }: PartProps): ReactNode {
  const t = useMessages()
  return (
    <Section title={t.policy.clientSubjects} hint={t.policy.clientSubjectsHint} place="client_subjects">
      <Area
        label={t.policy.clientSubjects}
        placeholder={t.policy.anyCertificate}
        value={clientSubjects}
        wide={100}
        onChange={(text) => edit((draft) => ({ ...draft, clientSubjects: text }))}
      />
    </Section>
  )
}

export function Rates({ draft: { rate }, edit }: PartProps): ReactNode {
  const t = useMessages()
  return (
    <Section title={t.policy.rate} hint={t.policy.rateHint} place="rate">
      <div className="policy-fields">
        {RATES.map((field) => (
          <InputField
            key={field}
            label={t.policy.rateNames[field]}
            place={`rate.${field}`}
            placeholder={field === 'burst' ? '65536' : t.policy.noLimit}
            value={rate[field]}
            onChange={(text) => edit((draft) => ({ ...draft, rate: { ...draft.rate, [field]: text } }))}
          />
        ))}
      </div>
    </Section>
  )
}

export function Quota({ draft: { quota }, edit }: PartProps): ReactNode {
  const t = useMessages()
  const change = (part: Partial<PolicyDraft['quota']>): void =>
    edit((draft) => ({ ...draft, quota: { ...draft.quota, ...part } }))
  return (
    <Section title={t.policy.quota} hint={t.policy.quotaHint} place="quota">
      <div className="policy-fields">
        <InputField
          label={t.policy.quotaBytes}
          place="quota.bytes"
          placeholder={t.policy.noLimit}
          value={quota.bytes}
          onChange={(bytes) => change({ bytes })}
        />
        <SelectField
          label={t.policy.period}
          place="quota.period"
          value={quota.period}
          options={(['day', 'month', 'total'] as const).map((period) => [period, t.policy.periods[period]] as const)}
          onChange={(period) => change({ period })}
        />
        <SelectField
          label={t.policy.direction}
          place="quota.direction"
          value={quota.direction}
          options={(['both', 'up', 'down'] as const).map((one) => [one, t.policy.directions[one]] as const)}
          onChange={(direction) => change({ direction })}
        />
      </div>
    </Section>
  )
}
