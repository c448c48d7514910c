import { Menu } from '@base-ui/react/menu'
import type { ReactNode } from 'react'
import { type Language, language, type Theme, theme } from '../state/preferences.js'
import { useStore } from '../state/store.js'
import { useMessages } from '../text/messages.js'
import { CheckIcon, SettingsIcon } from './icons.js'

interface Choice<T> {
  readonly value: T
  readonly name: string
  readonly lang?: string
}

interface ChoicesProps<T> {
  readonly title: string
  readonly value: T
  readonly choices: readonly Choice<T>[]
  readonly onChange: (value: T) => void
}

function Choices<T extends string>({ title, value, choices, onChange }: ChoicesProps<T>): ReactNode {
  return (
    <Menu.Group>
      <Menu.GroupLabel className="menu-label">{title}</Menu.GroupLabel>
      <Menu.RadioGroup value={value} onValueChange={(chosen: T) => onChange(chosen)}>
        {choices.map(({ value: own, name, lang }) => (
          <Menu.RadioItem key={own} value={own} className="menu-item" lang={lang} closeOnClick>
            <span className="menu-check">
              <Menu.RadioItemIndicator>
                <CheckIcon />
              </Menu.RadioItemIndicator>
            </span>
            {name}
          </Menu.RadioItem>
        ))}
      </Menu.RadioGroup>
    </Menu.Group>
  )
}

const LANGUAGES: readonly Choice<Language>[] = [
  { value: 'en', name: 'English', lang: 'en' },
  { value: 'zh', name: '中文', lang: 'zh-CN' },
]

/** Language and theme, and the way out for who is signed in. */
export function Settings({ onSignOut }: { onSignOut?: () => void }): ReactNode {
  const t = useMessages()
  const themes: readonly Choice<Theme>[] = [
    { value: 'system', name: t.preferences.system },
    { value: 'light', name: t.preferences.light },
    { value: 'dark', name: t.preferences.dark },
  ]
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className="button quiet settings" aria-label={t.preferences.open}>
        <SettingsIcon />
        <span className="wide">{t.preferences.open}</span>
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner className="positioner" align="end" sideOffset={6}>
          <Menu.Popup className="menu">
            <Choices
              title={t.preferences.language}
              value={useStore(language)}
              choices={LANGUAGES}
              onChange={language.set}
            />
            <Choices title={t.preferences.theme} value={useStore(theme)} choices={themes} onChange={theme.set} />
            {onSignOut !== undefined && (
              <>
                <Menu.Separator className="menu-line" />
                <Menu.Item className="menu-item" onClick={onSignOut}>
                  <span className="menu-check" />
                  {t.preferences.signOut}
                </Menu.Item>
              </>
            )}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  )
}
