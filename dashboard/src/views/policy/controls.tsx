import { createContext, type ReactNode, type RefObject, useContext, useEffect, useId, useRef } from 'react'

/** Whether the key may only look: everything is shown, and nothing can be edited. */
export const ReadOnly = createContext(false)

/** What is wrong, at the place of its field (`egress.0`, `sources`, `rate.up`). */
export interface Fault {
  readonly place: string
  readonly text: string
}

export const Faults = createContext<Fault | undefined>(undefined)

function useFault(place: string): string | undefined {
  const fault = useContext(Faults)
  return fault?.place === place ? fault.text : undefined
}

/** Beside the field, and read out when it appears. */
export function FaultText({ place, id }: { place: string; id?: string }): ReactNode {
  const text = useFault(place)
  if (text === undefined) return null
  return (
    <p className="field-problem" role="alert" id={id}>
      {text}
    </p>
  )
}

/**
 * Moves the focus once a list is drawn again, and what has it into sight.
 * @returns where to put a selector of what takes it, in the element around the list
 */
export function useFocusAfter(list: RefObject<HTMLElement | null>, entries: unknown): RefObject<string | undefined> {
  const next = useRef<string>(undefined)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of the entries is what this waits for
  useEffect(() => {
    if (next.current === undefined) return
    const place = list.current?.parentElement?.querySelector<HTMLElement>(next.current)
    next.current = undefined
    place?.focus()
    place?.scrollIntoView({ block: 'nearest' })
  }, [entries])
  return next
}

interface SectionProps {
  readonly title: string
  readonly hint?: string
  readonly place: string
  readonly children: ReactNode
}

/** A part of the policy under its own heading; it takes the focus when the relay refuses it as a whole. */
export function Section({ title, hint, place, children }: SectionProps): ReactNode {
  const id = useId()
  return (
    <section className="policy-part whole" aria-labelledby={id} tabIndex={-1} data-place={place}>
      <h3 id={id}>{title}</h3>
      {hint !== undefined && <p className="hint">{hint}</p>}
      <FaultText place={place} />
      {children}
    </section>
  )
}

interface InputProps {
  readonly value: string
  readonly onChange: (value: string) => void
  readonly place?: string
  readonly placeholder?: string
  readonly numeric?: boolean
  /** Id of a list of suggestions. */
  readonly list?: string
}

interface LabelledInputProps extends InputProps {
  readonly label: string
  readonly hint?: string
}

/** A text with its name above and what is wrong below. */
export function InputField({ label, hint, place = '', ...input }: LabelledInputProps): ReactNode {
  const id = useId()
  const fault = useFault(place)
  const described = [hint === undefined ? '' : `${id}-hint`, fault === undefined ? '' : `${id}-fault`].join(' ').trim()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <Input {...input} id={id} place={place} invalid={fault !== undefined} described={described} />
      {hint !== undefined && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      <FaultText place={place} id={`${id}-fault`} />
    </div>
  )
}

interface BareInputProps extends InputProps {
  readonly id?: string
  readonly label?: string
  readonly invalid?: boolean
  readonly described?: string
}

export function Input(props: BareInputProps): ReactNode {
  const { value, onChange, place = '', placeholder, numeric = false, list, id, label, invalid, described = '' } = props
  const readOnly = useContext(ReadOnly)
  return (
    <input
      id={id}
      aria-label={label}
      aria-invalid={invalid || undefined}
      aria-describedby={described === '' ? undefined : described}
      data-place={place === '' ? undefined : place}
      value={value}
      readOnly={readOnly}
      placeholder={placeholder}
      inputMode={numeric ? 'numeric' : undefined}
      list={readOnly ? undefined : list}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
    />
  )
}

interface AreaProps {
  readonly label: string
  readonly value: string
  readonly placeholder?: string
  /** Characters that fit into a line, about. */
  readonly wide: number
  readonly onChange: (value: string) => void
}

const MAX_LINES = 6

/** A list, as long as it takes to be seen. */
export function Area({ label, value, placeholder, wide, onChange }: AreaProps): ReactNode {
  const readOnly = useContext(ReadOnly)
  const lines = value.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / wide)), 0)
  return (
    <textarea
      aria-label={label}
      value={value}
      readOnly={readOnly}
      placeholder={placeholder}
      rows={Math.min(MAX_LINES, lines)}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
    />
  )
}

interface SelectProps<T extends string> {
  readonly label: string
  readonly value: T
  readonly options: readonly (readonly [T, string])[]
  readonly onChange: (value: T) => void
  readonly id?: string
  readonly place?: string
}

/** @param id of the control, when its label stands beside it; else the label is not in sight */
export function Select<T extends string>({ label, value, options, onChange, id, place }: SelectProps<T>): ReactNode {
  return (
    <select
      className="select"
      id={id}
      aria-label={id === undefined ? label : undefined}
      data-place={place}
      value={value}
      disabled={useContext(ReadOnly)}
      onChange={(event) => onChange(event.target.value as T)}
    >
      {options.map(([own, name]) => (
        <option key={own} value={own}>
          {name}
        </option>
      ))}
    </select>
  )
}

export function SelectField<T extends string>(props: SelectProps<T> & { readonly hint?: string }): ReactNode {
  const { hint, ...select } = props
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{select.label}</label>
      <Select {...select} id={id} />
      {hint !== undefined && <p className="hint">{hint}</p>}
      {select.place !== undefined && <FaultText place={select.place} />}
    </div>
  )
}
