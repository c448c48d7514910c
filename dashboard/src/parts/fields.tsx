import { Field } from '@base-ui/react/field'
import { type FormEvent, type ReactNode, useId } from 'react'
import { useMessages } from '../text/messages.js'

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
  const range = type === 'number' ? { min: 1, max: 65_535, inputMode: 'numeric' as const } : {}
  return (
    <Field.Root className="field" name={name} disabled={disabled}>
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
  const send = (event: FormEvent): void => {
    event.preventDefault()
    if (!busy) onSubmit()
  }
  return (
    <form className="form" onSubmit={send} noValidate>
      <div className="form-body">{children}</div>
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
