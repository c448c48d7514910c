import { type ReactNode, useContext, useId, useRef } from 'react'
import { PlusIcon, RemoveIcon } from '../../parts/icons.js'
import { useMessages } from '../../text/messages.js'
import { FaultText, InputField, ReadOnly, Section, useFocusAfter } from './controls.js'
import { type HoursDraft, newHours, type PolicyDraft, WEEKDAYS } from './draft.js'
import type { Edit } from './rules.js'

/** When the token may be used. */
export function Hours({ draft, edit }: { draft: PolicyDraft; edit: Edit }): ReactNode {
  const t = useMessages()
  const readOnly = useContext(ReadOnly)
  const zones = useId()
  const list = useRef<HTMLUListElement>(null)
  const { hours } = draft
  const next = useFocusAfter(list, hours)
  const editHours = (update: (hours: readonly HoursDraft[]) => readonly HoursDraft[]): void =>
    edit((before) => ({ ...before, hours: update(before.hours) }))
  const add = (): void => {
    next.current = 'li:last-child input'
    editHours((before) => [...before, newHours(Intl.DateTimeFormat().resolvedOptions().timeZone)])
  }
  const remove = (index: number): void => {
    const beside = Math.min(index, hours.length - 2)
    next.current = beside < 0 ? '.add-hours' : `li:nth-child(${beside + 1}) .remove-hours`
    editHours((before) => before.toSpliced(index, 1))
  }
  return (
    <Section title={t.policy.hours} hint={t.policy.hoursHint} place="hours">
      {hours.length === 0 && <p className="muted">{t.policy.noHours}</p>}
      <ul className="policy-hours" ref={list}>
        {hours.map((one, index) => (
          <HoursRow
            key={one.key}
            hours={one}
            index={index}
            zones={zones}
            change={(part) =>
              editHours((before) => before.map((old) => (old.key === one.key ? { ...old, ...part } : old)))
            }
            remove={() => remove(index)}
          />
        ))}
      </ul>
      {!readOnly && (
        <button type="button" className="button small add-hours" onClick={add}>
          <PlusIcon />
          {t.policy.addHours}
        </button>
      )}
      {!readOnly && hours.length > 0 && <Zones id={zones} />}
    </Section>
  )
}

/** The time zones that the browser knows, to choose from while typing. */
function Zones({ id }: { id: string }): ReactNode {
  return (
    <datalist id={id}>
      {Intl.supportedValuesOf('timeZone').map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  )
}

interface HoursRowProps {
  readonly hours: HoursDraft
  readonly index: number
  readonly zones: string
  readonly change: (part: Partial<HoursDraft>) => void
  readonly remove: () => void
}

function HoursRow({ hours: { days, from, to, zone }, index, zones, change, remove }: HoursRowProps): ReactNode {
  const t = useMessages()
  const readOnly = useContext(ReadOnly)
  const number = index + 1
  return (
    <li className="hours-row" tabIndex={-1} data-place={`hours.${index}`}>
      <fieldset className="days">
        <legend>{t.policy.daysOf(number)}</legend>
        {WEEKDAYS.map((day) => (
          <label key={day} className="day">
            <input
              type="checkbox"
              checked={days.includes(day)}
              disabled={readOnly}
              aria-label={t.policy.days[day]}
              onChange={({ target }) =>
                change({ days: target.checked ? [...days, day] : days.filter((other) => other !== day) })
              }
            />
            <span aria-hidden="true">{t.policy.shortDays[day]}</span>
          </label>
        ))}
      </fieldset>
      <InputField label={t.policy.from} placeholder="08:00" value={from} onChange={(text) => change({ from: text })} />
      <InputField label={t.policy.to} placeholder="18:00" value={to} onChange={(text) => change({ to: text })} />
      <InputField
        label={t.policy.zone}
        placeholder="UTC"
        list={zones}
        value={zone}
        onChange={(text) => change({ zone: text })}
      />
      {!readOnly && (
        <button
          type="button"
          className="button small quiet icon-only remove-hours"
          aria-label={t.policy.removeHours(number)}
          title={t.policy.remove}
          onClick={remove}
        >
          <RemoveIcon />
        </button>
      )}
      <FaultText place={`hours.${index}`} />
    </li>
  )
}
