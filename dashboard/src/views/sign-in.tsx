import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { Brand } from '../parts/icons.js'
import { Settings } from '../parts/settings.js'
import { type Notice, signIn } from '../state/session.js'
import type { Messages } from '../text/en.js'
import { useMessages } from '../text/messages.js'

function noticeText(t: Messages, notice: Notice): string {
  if (notice.kind === 'failed') return t.signIn.failed(notice.message)
  return notice.kind === 'refused' ? t.signIn.refused : t.signIn.signedOut
}

export function SignIn({ notice }: { notice: Notice | undefined }): ReactNode {
  const t = useMessages()
  const [key, setKey] = useState('')
  const [keep, setKeep] = useState(false)
  const [busy, setBusy] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  const hint = useId()
  const problem = useId()
  useEffect(() => {
    document.title = `${t.signIn.title} · LinkSocks`
  }, [t])
  useEffect(() => field.current?.focus(), [])

  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (key === '') field.current?.focus()
    if (key === '' || busy) return
    setBusy(true)
    void signIn(key, keep).finally(() => {
      setBusy(false)
      field.current?.focus()
    })
  }
  const failed = notice !== undefined && notice.kind !== 'signed-out'
  return (
    <main className="sign-in">
      <form className="card" onSubmit={submit} noValidate>
        <div className="brand">
          <Brand />
          <span>LinkSocks</span>
        </div>
        <h1>{t.signIn.title}</h1>
        <p className="muted">{t.signIn.lead}</p>
        <div id={problem} role={failed ? 'alert' : 'status'} className={failed ? 'problem' : 'muted'}>
          {notice !== undefined && !busy ? noticeText(t, notice) : ''}
        </div>
        <label className="field">
          <span>{t.signIn.key}</span>
          <input
            ref={field}
            type="password"
            name="api-key"
            autoComplete="off"
            required
            value={key}
            aria-describedby={`${hint} ${problem}`}
            onChange={(event) => setKey(event.target.value)}
          />
        </label>
        <p className="hint" id={hint}>
          {t.signIn.hint}
        </p>
        <label className="check">
          <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
          <span>{t.signIn.keep}</span>
        </label>
        <button type="submit" className="button primary" aria-busy={busy}>
          {busy ? t.signIn.busy : t.signIn.submit}
        </button>
      </form>
      <Settings />
    </main>
  )
}
