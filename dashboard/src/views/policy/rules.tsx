import {
  type KeyboardEvent,
  memo,
  type ReactNode,
  type RefObject,
  useCallback,
  useContext,
  useMemo,
  useRef,
  useState,
} from 'react'
import { DownIcon, PlusIcon, RemoveIcon, UpIcon } from '../../parts/icons.js'
import { Badge } from '../../parts/small.js'
import { useMessages } from '../../text/messages.js'
import { Area, FaultText, Input, ReadOnly, Section, Select, SelectField, useFocusAfter } from './controls.js'
import { moved, newRule, type PolicyDraft, type RuleDraft } from './draft.js'

export type Edit = (update: (draft: PolicyDraft) => PolicyDraft) => void

interface RulesProps {
  readonly draft: PolicyDraft
  /** Index of the rule that decided about the target that was tried. */
  readonly decided: number | undefined
  readonly edit: Edit
}

/** The rules about destinations, in their order, and what holds where none speaks. */
export function Rules({ draft, decided, edit }: RulesProps): ReactNode {
  const t = useMessages()
  const readOnly = useContext(ReadOnly)
  const list = useRef<HTMLOListElement>(null)
  const [said, setSaid] = useState('')
  const { rules } = draft
  const next = useFocusAfter(list, rules)
  const act = useRuleActions(edit, setSaid, next)
  return (
    <Section title={t.policy.rules} hint={readOnly ? t.policy.rulesLead : t.policy.rulesHint} place="egress">
      {rules.length === 0 && <p className="muted">{t.policy.noRules}</p>}
      <ol className="policy-rules" ref={list} aria-label={t.policy.rules}>
        {rules.map((rule, index) => (
          <RuleRow
            key={rule.key}
            rule={rule}
            index={index}
            count={rules.length}
            decided={index === decided}
            act={act}
          />
        ))}
      </ol>
      {!readOnly && (
        <button type="button" className="button small add-rule" onClick={act.add}>
          <PlusIcon />
          {t.policy.addRule}
        </button>
      )}
      <SelectField
        label={t.policy.egressDefault}
        place="egress_default"
        value={draft.egressDefault}
        options={[
          ['', rules.some(({ action }) => action === 'allow') ? t.policy.absentDeny : t.policy.absentAllow],
          ['allow', t.policy.actions.allow],
          ['deny', t.policy.actions.deny],
        ]}
        onChange={(egressDefault) => edit((before) => ({ ...before, egressDefault }))}
      />
      <div role="status" className="off-screen">
        {said}
      </div>
    </Section>
  )
}

interface RuleActions {
  readonly add: () => void
  readonly change: (key: number, part: Partial<RuleDraft>) => void
  readonly move: (index: number, by: -1 | 1, count: number) => void
  readonly remove: (index: number, count: number) => void
}

/** The same from one drawing to the next, so that a change draws one row. */
function useRuleActions(edit: Edit, say: (text: string) => void, next: RefObject<string | undefined>): RuleActions {
  const t = useMessages()
  return useMemo(() => {
    const editRules = (update: (rules: readonly RuleDraft[]) => readonly RuleDraft[]): void =>
      edit((draft) => ({ ...draft, rules: update(draft.rules) }))
    return {
      add: () => {
        next.current = 'li:last-child select'
        editRules((rules) => [...rules, newRule()])
      },
      change: (key, part) =>
        editRules((rules) => rules.map((rule) => (rule.key === key ? { ...rule, ...part } : rule))),
      move: (index, by, count) => {
        const to = index + by
        if (to < 0 || to >= count) return
        next.current = ':focus'
        editRules((rules) => moved(rules, index, by))
        say(t.policy.moved(index + 1, to + 1, count))
      },
      remove: (index, count) => {
        const beside = Math.min(index, count - 2)
        next.current = beside < 0 ? '.add-rule' : `li:nth-child(${beside + 1}) .remove-rule`
        editRules((rules) => rules.toSpliced(index, 1))
        say(t.policy.removed(index + 1, count - 1))
      },
    }
  }, [edit, say, next, t])
}

interface RuleRowProps {
  readonly rule: RuleDraft
  readonly index: number
  readonly count: number
  readonly decided: boolean
  readonly act: RuleActions
}

const RuleRow = memo(function RuleRow({ rule, index, count, decided, act }: RuleRowProps): ReactNode {
  const t = useMessages()
  const readOnly = useContext(ReadOnly)
  const number = index + 1
  const { key, action, hosts, ports, protocol } = rule
  const change = useCallback((part: Partial<RuleDraft>) => act.change(key, part), [act, key])
  const press = (event: KeyboardEvent): void => {
    if (readOnly || !event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return
    // a selection would open, and a text scroll
    event.preventDefault()
    act.move(index, event.key === 'ArrowUp' ? -1 : 1, count)
  }
  return (
    <li
      className={decided ? 'policy-rule decided' : 'policy-rule'}
      tabIndex={-1}
      data-place={`egress.${index}`}
      onKeyDown={press}
    >
      <span className="rule-number num">{number}</span>
      <Select
        label={t.policy.actionOf(number)}
        value={action}
        options={[
          ['allow', t.policy.actions.allow],
          ['deny', t.policy.actions.deny],
        ]}
        onChange={(chosen) => change({ action: chosen })}
      />
      <Area
        label={t.policy.hostsOf(number)}
        placeholder={t.policy.anyHost}
        value={hosts}
        wide={34}
        onChange={(text) => change({ hosts: text })}
      />
      <Input
        label={t.policy.portsOf(number)}
        placeholder={t.policy.anyPort}
        value={ports}
        onChange={(text) => change({ ports: text })}
      />
      <Select
        label={t.policy.protocolOf(number)}
        value={protocol}
        options={[
          ['', t.policy.bothProtocols],
          ['tcp', 'TCP'],
          ['udp', 'UDP'],
        ]}
        onChange={(chosen) => change({ protocol: chosen })}
      />
      {!readOnly && <RowButtons index={index} count={count} act={act} />}
      {decided && (
        <span className="rule-note">
          <Badge tone="info">{t.policy.decides}</Badge>
        </span>
      )}
      <FaultText place={`egress.${index}`} />
    </li>
  )
})

/** One that leads nowhere stays where it is, so that the focus does too. */
function RowButtons({ index, count, act }: Omit<RuleRowProps, 'rule' | 'decided'>): ReactNode {
  const t = useMessages()
  const number = index + 1
  const button = 'button small quiet icon-only'
  return (
    <span className="rule-buttons">
      <button
        type="button"
        className={button}
        aria-label={t.policy.moveUp(number)}
        aria-disabled={index === 0}
        title={t.policy.up}
        onClick={() => act.move(index, -1, count)}
      >
        <UpIcon />
      </button>
      <button
        type="button"
        className={button}
        aria-label={t.policy.moveDown(number)}
        aria-disabled={number === count}
        title={t.policy.down}
        onClick={() => act.move(index, 1, count)}
      >
        <DownIcon />
      </button>
      <button
        type="button"
        className={`${button} remove-rule`}
        aria-label={t.policy.removeRule(number)}
        title={t.policy.remove}
        onClick={() => act.remove(index, count)}
      >
        <RemoveIcon />
      </button>
    </span>
  )
}
