import { type KeyboardEvent, type ReactNode, useState } from 'react'
import type { Protocol, Verdict } from '../../api/types.js'
import { Badge, type Tone } from '../../parts/small.js'
import { useMessages } from '../../text/messages.js'
import { InputField, Section, SelectField } from './controls.js'

const TONES: Readonly<Record<Verdict['result'], Tone>> = { allow: 'good', deny: 'bad', depends: 'warn' }

interface TrialProps {
  /** What came of the last one, as long as the rules are as they were tried. */
  readonly verdict: Verdict | undefined
  readonly busy: boolean
  readonly ask: (target: string, protocol: Protocol) => void
}

/** Asks the relay about a destination, under the rules as they are edited. */
export function Trial({ verdict, busy, ask }: TrialProps): ReactNode {
  const t = useMessages()
  const [target, setTarget] = useState('')
  const [protocol, setProtocol] = useState<Protocol>('tcp')
  const enter = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.nativeEvent.isComposing) return
    // the form around it would be saved
    event.preventDefault()
    ask(target.trim(), protocol)
  }
  return (
    <Section title={t.policy.trial} hint={t.policy.trialHint} place="trial">
      <div className="policy-trial">
        {/* biome-ignore lint/a11y/noStaticElementInteractions: the field inside takes the key */}
        <div onKeyDown={enter}>
          <InputField
            label={t.policy.target}
            place="target"
            placeholder="www.example.com:443"
            value={target}
            onChange={setTarget}
          />
        </div>
        <SelectField
          label={t.policy.protocol}
          value={protocol}
          options={[
            ['tcp', 'TCP'],
            ['udp', 'UDP'],
          ]}
          onChange={setProtocol}
        />
        <button type="button" className="button" aria-busy={busy} onClick={() => ask(target.trim(), protocol)}>
          {busy ? t.policy.trying : t.policy.try}
        </button>
      </div>
      <p role="status" className="verdict">
        {verdict !== undefined && (
          <>
            <Badge tone={TONES[verdict.result]}>{t.policy.results[verdict.result]}</Badge> <span>{verdict.reason}</span>
          </>
        )}
      </p>
    </Section>
  )
}
