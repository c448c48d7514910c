import { type ReactNode, useEffect, useState } from 'react'
import type { AccessRule, Token, TokenChange } from '../api/types.js'
import { CheckField } from '../parts/fields.js'
import { PolicyIcon } from '../parts/icons.js'
import { tokenName } from '../parts/names.js'
import { tell } from '../parts/small.js'
import { CredentialFields, ExpiresField, LabelField, type TokenDraft, TokenForm } from '../parts/token-form.js'
import { useSession } from '../state/session.js'
import { fromLocalInput, ruleText, toLocalInput } from '../text/format.js'
import { useMessages } from '../text/messages.js'
import { PolicyDialog } from './policy-dialog.js'

interface Draft extends TokenDraft {
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

/** Only what differs is sent: what others changed meanwhile stays. @returns `undefined` when nothing does */
function changeOf(draft: Draft, token: Token): TokenChange | undefined {
  const before = draftOf(token)
  const credentials = draft.dropCredentials
    ? { username: null, password: null }
    : draft.password !== '' || draft.username !== before.username
      ? { username: draft.username, password: draft.password }
      : {}
  const changes = {
    ...(draft.label === before.label ? {} : { label: draft.label === '' ? null : draft.label }),
    ...(draft.expires === before.expires ? {} : { expires_at: fromLocalInput(draft.expires) }),
    ...credentials,
  }
  return Object.keys(changes).length === 0 ? undefined : changes
}

export function EditToken({ token, onClose }: { token: Token; onClose: () => void }): ReactNode {
  const t = useMessages()
  const { api, tokens } = useSession()
  const [draft, setDraft] = useState(() => draftOf(token))
  const [policyOpen, setPolicyOpen] = useState(false)
  const change = (part: Partial<Draft>): void => setDraft({ ...draft, ...part })
  const withCredentials = token.type === 'reverse' && !token.allow_manage_connector

  const save = async (changes: TokenChange): Promise<void> => {
    tokens.replace(await api.changeToken(token.id, changes))
    tell(t.tokens.saved)
    onClose()
  }
  return (
    <TokenForm
      title={t.form.editTitle(tokenName(token))}
      submit={t.form.submitEdit}
      body={() => changeOf(draft, token)}
      send={save}
      onClose={onClose}
      above={policyOpen && <PolicyDialog token={token} onClose={() => setPolicyOpen(false)} />}
    >
      <LabelField draft={draft} change={change} />
      <ExpiresField draft={draft} change={change} />
      {withCredentials && (
        <CredentialFields
          draft={draft}
          change={change}
          passwordHint={t.form.keepPassword}
          disabled={draft.dropCredentials}
        />
      )}
      {token.rules_count > 0 && <Rules id={token.id} />}
      <div className="field whole">
        <button type="button" className="button" aria-haspopup="dialog" onClick={() => setPolicyOpen(true)}>
          <PolicyIcon />
          {t.policy.openUsage}
        </button>
        <span className="hint">{t.policy.openHint}</span>
      </div>
      {withCredentials && token.username != null && (
        <CheckField
          label={t.form.dropCredentials}
          checked={draft.dropCredentials}
          onChange={(dropCredentials) => change({ dropCredentials })}
        />
      )}
    </TokenForm>
  )
}

/** The access rules of a token, which stay as they are as long as it is there. */
function Rules({ id }: { id: string }): ReactNode {
  const t = useMessages()
  const { api } = useSession()
  const [rules, setRules] = useState<readonly AccessRule[]>()
  useEffect(() => {
    let shown = true
    api.token(id).then(
      (token) => shown && setRules(token.rules ?? []),
      // the list says how many there are
      () => {},
    )
    return () => {
      shown = false
    }
  }, [api, id])
  return (
    <div className="field whole">
      <span>{t.form.rules}</span>
      <ul className="rules mono">
        {(rules ?? []).map((rule, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: rules have no name, and the list never changes
          <li key={index}>{ruleText(rule)}</li>
        ))}
      </ul>
      <span className="hint">{t.form.rulesFixed}</span>
    </div>
  )
}
