import { Radio } from '@base-ui/react/radio'
import { RadioGroup } from '@base-ui/react/radio-group'
import { type ReactNode, useId } from 'react'

interface Choice<T> {
  readonly value: T
  readonly name: string
  readonly lang?: string
}

interface ChoiceFieldProps<T> {
  readonly label: string
  readonly hint?: string
  readonly value: T
  readonly choices: readonly Choice<T>[]
  readonly onChange: (value: T) => void
}

/** One of a few, all in sight. */
export function ChoiceField<T extends string>({
  label,
  hint,
  value,
  choices,
  onChange,
}: ChoiceFieldProps<T>): ReactNode {
  const id = useId()
  return (
    <div className="field whole">
      <span id={id}>{label}</span>
      <RadioGroup
        className="segments"
        aria-labelledby={id}
        value={value}
        onValueChange={(chosen: T) => onChange(chosen)}
      >
        {choices.map(({ value: own, name, lang }) => (
          // biome-ignore lint/a11y/noLabelWithoutControl: the radio is the control
          <label key={own} className="segment" lang={lang}>
            <Radio.Root value={own} className="radio" />
            {name}
          </label>
        ))}
      </RadioGroup>
      {hint !== undefined && <span className="hint">{hint}</span>}
    </div>
  )
}
