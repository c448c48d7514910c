import { type ReactNode, useState } from 'react'
import { language, theme } from '../state/preferences.js'
import { useStore } from '../state/store.js'
import { useMessages } from '../text/messages.js'
import { ChoiceField } from './choice.js'
import { Modal } from './dialog.js'
import { SettingsIcon } from './icons.js'

/** Language and theme, and the way out for who is signed in. */
export function Settings({ onSignOut }: { onSignOut?: () => void }): ReactNode {
  const t = useMessages()
  const [open, setOpen] = useState(false)
  return (
    <>
      <button
        type="button"
        className="button quiet settings"
        aria-label={t.preferences.open}
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        <SettingsIcon />
        <span className="wide">{t.preferences.open}</span>
      </button>
      {open && (
        <Modal title={t.preferences.open} onClose={() => setOpen(false)} narrow>
          <Choices />
          <div className="dialog-foot">
            <a className="muted licences" href="THIRD-PARTY-LICENCES.md">
              {t.preferences.licences}
            </a>
            {onSignOut !== undefined && (
              <button type="button" className="button" onClick={onSignOut}>
                {t.preferences.signOut}
              </button>
            )}
          </div>
        </Modal>
      )}
    </>
  )
}

function Choices(): ReactNode {
  const t = useMessages()
  return (
    <>
      <ChoiceField
        label={t.preferences.language}
        value={useStore(language)}
        choices={[
          { value: 'en', name: 'English', lang: 'en' },
          { value: 'zh', name: '中文', lang: 'zh-CN' },
        ]}
        onChange={language.set}
      />
      <ChoiceField
        label={t.preferences.theme}
        value={useStore(theme)}
        choices={[
          { value: 'system', name: t.preferences.system },
          { value: 'light', name: t.preferences.light },
          { value: 'dark', name: t.preferences.dark },
        ]}
        onChange={theme.set}
      />
    </>
  )
}
