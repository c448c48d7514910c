import { type ReactNode, useState } from 'react'
import type { NewToken, Token, TokenType } from '../api/types.js'
import { ChoiceField } from '../parts/choice.js'
import { CheckField, TextField } from '../parts/fields.js'
import { tokenName } from '../parts/names.js'
import { tell } from '../parts/small.js'
import { CredentialFields, ExpiresField, LabelField, type TokenDraft, TokenForm } from '../parts/token-form.js'
import { useSession } from '../state/session.js'
import { fromLocalInput, parseRules } from '../text/format.js'
import { useMessages } from '../text/messages.js'

const TYPES: readonly TokenType[] = ['forward', 'reverse', 'connector']

interface Draft extends TokenDraft {
  readonly type: TokenType
  readonly token: string
  readonly autonomy: boolean
  readonly port: string
  readonly reverseToken: string
  /** As {@link parseRules} reads them. */
  readonly rules: string
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
  rules: '',
}

function bodyOf(draft: Draft): NewToken {
  const { type, label, token, expires, autonomy, port, username, password, reverseToken, rules } = draft
  const expiresAt = fromLocalInput(expires)
  return {
    type,
    ...(token === '' ? {} : { token }),
    ...(label === '' ? {} : { label }),
    ...(expiresAt === null ? {} : { expires_at: expiresAt }),
    ...(rules.trim() === '' ? {} : { rules: parseRules(rules) }),
    ...(type === 'connector' ? { reverse_token: reverseToken } : {}),
    ...(type === 'reverse' && autonomy ? { allow_manage_connector: true } : {}),
    ...(type === 'reverse' && !autonomy && port !== '' ? { port: Number(port) } : {}),
    ...(type === 'reverse' && !autonomy && (username !== '' || password !== '') ? { username, password } : {}),
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
  const { api } = useSession()
  const [draft, setDraft] = useState(BLANK)
  const change = (part: Partial<Draft>): void => setDraft({ ...draft, ...part })

  const add = async (body: NewToken): Promise<void> => {
    const added = await api.addToken(body)
    tell(added === undefined ? t.tokens.addedUnread : t.tokens.added)
    if (added === undefined) onClose()
    else onAdded(added)
  }
  return (
    <TokenForm
      title={t.form.addTitle}
      submit={t.form.submitAdd}
      body={() => bodyOf(draft)}
      send={add}
      onClose={onClose}
    >
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
      <LabelField draft={draft} change={change} />
      <TextField
        name="token"
        label={t.form.token}
        hint={t.form.tokenHint}
        value={draft.token}
        onChange={(token) => change({ token })}
      />
      <ExpiresField draft={draft} change={change} />
      <TextField
        name="rules"
        label={t.form.rules}
        hint={t.form.rulesHints[draft.type]}
        value={draft.rules}
        onChange={(rules) => change({ rules })}
      />
      {draft.type === 'reverse' && <ReverseFields draft={draft} change={change} />}
    </TokenForm>
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
          <CredentialFields draft={draft} change={change} />
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
