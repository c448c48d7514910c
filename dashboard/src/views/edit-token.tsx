import { type ReactNode, useState } from 'react'
import type { Token, TokenChange } from '../api/types.js'
import { Modal } from '../parts/dialog.js'
import { CheckField, FormFrame, failureText, TextField } from '../parts/fields.js'
import { tokenName } from '../parts/names.js'
import { tell } from '../parts/small.js'
import { useSession } from '../state/session.js'
import type { Messages } from '../text/en.js'
import { fromLocalInput, toLocalInput } from '../text/format.js'
import { useMessages } from '../text/messages.js'

interface Draft {
  readonly label: string
  readonly expires: string
  readonly username: string
  readonly password: string
  readonly dropCredentials: boolean
}

function draftOf(token: Token): Draft {
  return {
    label: token.label ?? '',
    expires: toLocalInput(token.expires_at),
    username: token.username ?? '',
    password: '',
    dropCredentials: false,
  }
}

/** Only what differs is sent: what others changed meanwhile stays. */
function changeOf(draft: Draft, token: Token): TokenChange {
  const before = draftOf(token)
  const credentials = draft.dropCredentials
    ? { username: null, password: null }
    : draft.password !== '' || draft.username !== before.username
      ? { username: draft.username, password: draft.password }
      : {}
  return {
    ...(draft.label === before.label ? {} : { label: draft.label === '' ? null : draft.label }),
    ...(draft.expires === before.expires ? {} : { expires_at: fromLocalInput(draft.expires) }),
    ...credentials,
  }
}

function problemOf(t: Messages, change: TokenChange): string | undefined {
  if (typeof change.expires_at === 'string' && Date.parse(change.expires_at) <= Date.now()) return t.form.past
  if (change.username === '' || change.password === '') return t.form.both
  return undefined
}

export function EditToken({ token, onClose }: { token: Token; onClose: () => void }): ReactNode {
  const t = useMessages()
  const { api, tokens } = useSession()
  const [draft, setDraft] = useState(() => draftOf(token))
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)
  const change = (part: Partial<Draft>): void => setDraft({ ...draft, ...part })
  const withCredentials = token.type === 'reverse' && !token.allow_manage_connector

  const save = async (): Promise<void> => {
    const changes = changeOf(draft, token)
    const wrong = problemOf(t, changes)
    setProblem(wrong)
    if (wrong !== undefined) return
    if (Object.keys(changes).length === 0) return onClose()
    setBusy(true)
    try {
      tokens.replace(await api.changeToken(token.id, changes))
      tell(t.tokens.saved)
      onClose()
    } catch (error) {
      setProblem(failureText(t, error))
    }
    setBusy(false)
    await tokens.reload()
  }
  return (
    <Modal title={t.form.editTitle(tokenName(token))} onClose={onClose} form>
      <FormFrame
        problem={problem}
        busy={busy}
        submit={t.form.submitEdit}
        onSubmit={() => void save()}
        onCancel={onClose}
      >
        <TextField
          name="label"
          label={t.form.label}
          hint={t.form.labelHint}
          value={draft.label}
          onChange={(label) => change({ label })}
        />
        <TextField
          name="expires"
          type="datetime-local"
          label={t.form.expires}
          hint={t.form.expiresHint}
          value={draft.expires}
          onChange={(expires) => change({ expires })}
        />
        {withCredentials && (
          <>
            <TextField
              name="username"
              label={t.form.username}
              hint={t.form.credentialsHint}
              disabled={draft.dropCredentials}
              value={draft.username}
              onChange={(username) => change({ username })}
            />
            <TextField
              name="password"
              type="password"
              label={t.form.password}
              hint={t.form.keepPassword}
              disabled={draft.dropCredentials}
              value={draft.password}
              onChange={(password) => change({ password })}
            />
          </>
        )}
        {withCredentials && token.username != null && (
          <CheckField
            label={t.form.dropCredentials}
            checked={draft.dropCredentials}
            onChange={(dropCredentials) => change({ dropCredentials })}
          />
        )}
      </FormFrame>
    </Modal>
  )
}
