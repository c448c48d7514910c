import { type ReactNode, useState } from 'react'
import type { NewToken, Token, TokenType } from '../api/types.js'
import { ChoiceField } from '../parts/choice.js'
import { Modal } from '../parts/dialog.js'
import { CheckField, FormFrame, failureText, TextField } from '../parts/fields.js'
import { tokenName } from '../parts/names.js'
import { tell } from '../parts/small.js'
import { useSession } from '../state/session.js'
import type { Messages } from '../text/en.js'
import { fromLocalInput } from '../text/format.js'
import { useMessages } from '../text/messages.js'

const TYPES: readonly TokenType[] = ['forward', 'reverse', 'connector']

interface Draft {
  readonly type: TokenType
  readonly label: string
  readonly token: string
  readonly expires: string
  readonly autonomy: boolean
  readonly port: string
  readonly username: string
  readonly password: string
  readonly reverseToken: string
}

const BLANK: Draft = {
  type: 'forward',
  label: '',
  token: '',
  expires: '',
  autonomy: false,
  port: '',
  username: '',
  password: '',
  reverseToken: '',
}

/** What the relay would refuse in words that fit less well. */
function problemOf(t: Messages, draft: Draft): string | undefined {
  if (draft.expires !== '' && Date.parse(draft.expires) <= Date.now()) return t.form.past
  if (draft.type === 'connector' && draft.reverseToken === '') return t.form.required
  const login = draft.type === 'reverse' && !draft.autonomy
  if (login && (draft.username === '') !== (draft.password === '')) return t.form.both
  return undefined
}

function bodyOf(draft: Draft): NewToken {
  const { type, label, token, expires, autonomy, port, username, password, reverseToken } = draft
  const expiresAt = fromLocalInput(expires)
  return {
    type,
    ...(token === '' ? {} : { token }),
    ...(label === '' ? {} : { label }),
    ...(expiresAt === null ? {} : { expires_at: expiresAt }),
    ...(type === 'connector' ? { reverse_token: reverseToken } : {}),
    ...(type === 'reverse' && autonomy ? { allow_manage_connector: true } : {}),
    ...(type === 'reverse' && !autonomy && port !== '' ? { port: Number(port) } : {}),
    ...(type === 'reverse' && !autonomy && username !== '' ? { username, password } : {}),
  }
}

interface AddTokenProps {
  /** Those that take connector tokens. */
  readonly reverse: readonly Token[]
  readonly onClose: () => void
  readonly onAdded: (token: Token) => void
}

export function AddToken({ reverse, onClose, onAdded }: AddTokenProps): ReactNode {
  const t = useMessages()
  const { api, tokens } = useSession()
  const [draft, setDraft] = useState(BLANK)
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)
  const change = (part: Partial<Draft>): void => setDraft({ ...draft, ...part })

  const add = async (): Promise<void> => {
    const wrong = problemOf(t, draft)
    setProblem(wrong)
    if (wrong !== undefined) return
    setBusy(true)
    try {
      const added = await api.addToken(bodyOf(draft))
      tell(added === undefined ? t.tokens.addedUnread : t.tokens.added)
      if (added === undefined) onClose()
      else onAdded(added)
    } catch (error) {
      setProblem(failureText(t, error))
    }
    setBusy(false)
    await tokens.reload()
  }
  return (
    <Modal title={t.form.addTitle} onClose={onClose} form>
      <FormFrame problem={problem} busy={busy} submit={t.form.submitAdd} onSubmit={() => void add()} onCancel={onClose}>
        <ChoiceField
          label={t.form.type}
          hint={t.form.typeHints[draft.type]}
          value={draft.type}
          choices={TYPES.map((value) => ({ value, name: t.types[value] }))}
          onChange={(type) => change({ type })}
        />
        {draft.type === 'connector' && (
          <ReverseChoice
            reverse={reverse}
            value={draft.reverseToken}
            onChange={(reverseToken) => change({ reverseToken })}
          />
        )}
        <TextField
          name="label"
          label={t.form.label}
          hint={t.form.labelHint}
          value={draft.label}
          onChange={(label) => change({ label })}
        />
        <TextField
          name="token"
          label={t.form.token}
          hint={t.form.tokenHint}
          value={draft.token}
          onChange={(token) => change({ token })}
        />
        <TextField
          name="expires"
          type="datetime-local"
          label={t.form.expires}
          hint={t.form.expiresHint}
          value={draft.expires}
          onChange={(expires) => change({ expires })}
        />
        {draft.type === 'reverse' && <ReverseFields draft={draft} change={change} />}
      </FormFrame>
    </Modal>
  )
}

interface ReverseChoiceProps {
  readonly reverse: readonly Token[]
  readonly value: string
  readonly onChange: (token: string) => void
}

function ReverseChoice({ reverse, value, onChange }: ReverseChoiceProps): ReactNode {
  const t = useMessages()
  return (
    <label className="field whole">
      <span>{t.form.reverse}</span>
      <select className="select" name="reverse" value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{t.form.choose}</option>
        {reverse.map((token) => (
          <option key={token.id} value={token.token}>
            {tokenName(token)}
            {token.port == null ? '' : ` (${token.port})`}
          </option>
        ))}
      </select>
      {reverse.length === 0 && <span className="hint">{t.form.noReverse}</span>}
    </label>
  )
}

function ReverseFields({ draft, change }: { draft: Draft; change: (part: Partial<Draft>) => void }): ReactNode {
  const t = useMessages()
  return (
    <>
      {!draft.autonomy && (
        <>
          <TextField
            name="port"
            type="number"
            label={t.form.port}
            hint={t.form.portHint}
            value={draft.port}
            onChange={(port) => change({ port })}
          />
          <TextField
            name="username"
            label={t.form.username}
            hint={t.form.credentialsHint}
            value={draft.username}
            onChange={(username) => change({ username })}
          />
          <TextField
            name="password"
            type="password"
            label={t.form.password}
            value={draft.password}
            onChange={(password) => change({ password })}
          />
        </>
      )}
      <CheckField
        label={t.form.autonomy}
        hint={t.form.autonomyHint}
        checked={draft.autonomy}
        onChange={(autonomy) => change({ autonomy })}
      />
    </>
  )
}
