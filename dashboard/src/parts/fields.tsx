import { Field } from '@base-ui/react/field'
import { createContext, type FormEvent, type ReactNode, useContext, useId, useState } from 'react'
import { ApiError } from '../api/http.js'
import type { Messages } from '../text/en.js'
import { useMessages } from '../text/messages.js'

/** Names of the fields that hold something the browser can't read: their value is '', as if they were empty. */
const Unreadable = createContext<readonly string[]>([])

interface TextFieldProps {
  readonly label: string
  readonly hint?: string
  readonly name: string
  readonly type?: 'text' | 'password' | 'number' | 'datetime-local'
  readonly value: string
  readonly disabled?: boolean
  readonly onChange: (value: string) => void
}

export function TextField({
  label,
  hint,
  name,
  type = 'text',
  value,
  disabled = false,
  onChange,
}: TextFieldProps): ReactNode {
  const t = useMessages()
  const unreadable = useContext(Unreadable).includes(name)
  const range = type === 'number' ? { min: 1, max: 65_535, inputMode: 'numeric' as const } : {}
  return (
    <Field.Root className="field" name={name} disabled={disabled} invalid={unreadable}>
      <Field.Label>{label}</Field.Label>
      <Field.Control
        type={type}
        value={value}
        autoComplete={type === 'password' ? 'new-password' : 'off'}
        spellCheck={false}
        {...range}
        onValueChange={(text) => onChange(text)}
      />
      {hint !== undefined && <Field.Description className="hint">{hint}</Field.Description>}
      <Field.Error match={unreadable} className="field-problem" role="alert">
        {type === 'number' ? t.form.noNumber : t.form.halfDate}
      </Field.Error>
    </Field.Root>
  )
}

interface CheckFieldProps {
  readonly label: string
  readonly hint?: string
  readonly checked: boolean
  readonly onChange: (checked: boolean) => void
}

export function CheckField({ label, hint, checked, onChange }: CheckFieldProps): ReactNode {
  const id = useId()
  return (
    <div className="check">
      <input
        type="checkbox"
        id={id}
        checked={checked}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => onChange(event.target.checked)}
      />
      <div>
        <label htmlFor={id}>{label}</label>
        {hint !== undefined && (
          <p className="hint" id={`${id}-hint`}>
            {hint}
          </p>
        )}
      </div>
    </div>
  )
}

/** What to say of a call that failed: without an answer nobody knows what came of it. */
export function failureText(t: Messages, error: unknown): string {
  const why = error instanceof Error ? error.message : String(error)
  return error instanceof ApiError && error.status === 0 ? t.form.noAnswer(why) : t.form.failed(why)
}

interface FormFrameProps {
  readonly problem: string | undefined
  readonly busy: boolean
  readonly submit: string
  readonly onSubmit: () => void
  readonly onCancel: () => void
  readonly children: ReactNode
}

/** A form in a dialog: fields, what is wrong, and two buttons. */
export function FormFrame({ problem, busy, submit, onSubmit, onCancel, children }: FormFrameProps): ReactNode {
  const t = useMessages()
  const [unreadable, setUnreadable] = useState<readonly string[]>([])
  const send = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const bad = unreadableOf(event.currentTarget)
    setUnreadable(bad.map(({ name }) => name))
    bad[0]?.focus()
    if (bad.length === 0 && !busy) onSubmit()
  }
  const look = (event: FormEvent<HTMLFormElement>): void => {
    if (unreadable.length > 0) setUnreadable(unreadableOf(event.currentTarget).map(({ name }) => name))
  }
  return (
    <form className="form" onSubmit={send} onInput={look} noValidate>
      <Unreadable value={unreadable}>
        <div className="form-body">{children}</div>
      </Unreadable>
      <p role="alert" className={problem === undefined ? 'problem none' : 'problem'}>
        {problem ?? ''}
      </p>
      <div className="dialog-foot">
        <button type="button" className="button" onClick={onCancel}>
          {t.form.cancel}
        </button>
        <button type="submit" className="button primary" aria-busy={busy}>
          {busy ? t.form.busy : submit}
        </button>
      </div>
    </form>
  )
}

/** A date of which a part is missing, or a number that is none: to send it as empty would take away what is set. */
function unreadableOf(form: HTMLFormElement): readonly HTMLInputElement[] {
  return [...form.querySelectorAll('input')].filter(({ validity }) => validity.badInput)
}
