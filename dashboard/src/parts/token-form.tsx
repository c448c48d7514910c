import { type ReactNode, useState } from 'react'
import type { AccessRule } from '../api/types.js'
import { useSession } from '../state/session.js'
import type { Messages } from '../text/en.js'
import { useMessages } from '../text/messages.js'
import { Modal } from './dialog.js'
import { FormFrame, failureText, TextField } from './fields.js'

/** What can be set of a token when it is added and later. */
export interface TokenDraft {
  readonly label: string
  /** Value of a `datetime-local` input. */
  readonly expires: string
  readonly username: string
  readonly password: string
}

/** What of a request is checked before it is sent. */
interface TokenBody {
  readonly expires_at?: string | null
  readonly reverse_token?: string
  readonly username?: string | null
  readonly password?: string | null
  readonly rules?: readonly AccessRule[] | undefined
}

/** What the relay would refuse in words that fit less well. */
function problemOf(t: Messages, body: TokenBody): string | undefined {
  const { expires_at, reverse_token, username, password } = body
  if (typeof expires_at === 'string' && Date.parse(expires_at) <= Date.now()) return t.form.past
  if (reverse_token === '') return t.form.required
  if (username === '' || password === '') return t.form.both
  if ('rules' in body && body.rules === undefined) return t.form.badRule
  return undefined
}

interface TokenFormProps<Body extends TokenBody> {
  readonly title: string
  /** Text of the button that sends it. */
  readonly submit: string
  /** The request that the fields make; `undefined`: nothing is to be sent, and the form closes. */
  readonly body: () => Body | undefined
  /** Sends it; what is thrown is shown. */
  readonly send: (body: Body) => Promise<void>
  readonly onClose: () => void
  readonly children: ReactNode
  /** Another dialog on top of this one. */
  readonly above?: ReactNode
}

/** A dialog that changes tokens. Their list is read again after each call: one that failed may have been carried out. */
export function TokenForm<Body extends TokenBody>({
  title,
  submit,
  body,
  send,
  onClose,
  children,
  above,
}: TokenFormProps<Body>): ReactNode {
  const t = useMessages()
  const { tokens } = useSession()
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)

  const onSubmit = async (): Promise<void> => {
    try {
      const request = body()
      if (request === undefined) return onClose()
      const wrong = problemOf(t, request)
      setProblem(wrong)
      if (wrong !== undefined) return
      setBusy(true)
      await send(request)
    } catch (error) {
      setProblem(failureText(t, error))
    }
    setBusy(false)
    await tokens.reload()
  }
  return (
    <Modal title={title} onClose={onClose} form>
      <FormFrame problem={problem} busy={busy} submit={submit} onSubmit={() => void onSubmit()} onCancel={onClose}>
        {children}
      </FormFrame>
      {above}
    </Modal>
  )
}

interface TokenFieldProps {
  readonly draft: TokenDraft
  readonly change: (part: Partial<TokenDraft>) => void
}

export function LabelField({ draft, change }: TokenFieldProps): ReactNode {
  const t = useMessages()
  return (
    <TextField
      name="label"
      label={t.form.label}
      hint={t.form.labelHint}
      value={draft.label}
      onChange={(label) => change({ label })}
    />
  )
}

export function ExpiresField({ draft, change }: TokenFieldProps): ReactNode {
  const t = useMessages()
  return (
    <TextField
      name="expires"
      type="datetime-local"
      label={t.form.expires}
      hint={t.form.expiresHint}
      value={draft.expires}
      onChange={(expires) => change({ expires })}
    />
  )
}

interface CredentialFieldsProps extends TokenFieldProps {
  readonly passwordHint?: string
  readonly disabled?: boolean
}

export function CredentialFields({ draft, change, passwordHint, disabled = false }: CredentialFieldsProps): ReactNode {
  const t = useMessages()
  return (
    <>
      <TextField
        name="username"
        label={t.form.username}
        hint={t.form.credentialsHint}
        disabled={disabled}
        value={draft.username}
        onChange={(username) => change({ username })}
      />
      <TextField
        name="password"
        type="password"
        label={t.form.password}
        {...(passwordHint === undefined ? {} : { hint: passwordHint })}
        disabled={disabled}
        value={draft.password}
        onChange={(password) => change({ password })}
      />
    </>
  )
}
