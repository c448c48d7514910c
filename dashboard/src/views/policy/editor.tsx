import { Tabs } from '@base-ui/react/tabs'
import { type ReactNode, type RefObject, useCallback, useEffect, useRef, useState } from 'react'
import { ApiError } from '../../api/http.js'
import type { Policy, Protocol, Token, Verdict } from '../../api/types.js'
import { Confirm, Modal } from '../../parts/dialog.js'
import { FormFrame, failureText } from '../../parts/fields.js'
import { tokenName } from '../../parts/names.js'
import { tell } from '../../parts/small.js'
import { holdRoute } from '../../state/route.js'
import { useSession } from '../../state/session.js'
import { useMessages } from '../../text/messages.js'
import { type Fault, Faults, ReadOnly } from './controls.js'
import { changesOf, draftOf, type PolicyDraft, placeOf, readDraft } from './draft.js'
import { Hours } from './hours.js'
import { ClientSubjects, Counts, Quota, Rates, Sources } from './limits.js'
import { type Edit, Rules } from './rules.js'
import { Trial } from './trial.js'
import { UsagePanel } from './usage.js'

interface PolicyEditorProps {
  readonly token: Token
  readonly onClose: () => void
}

/** The policy of a token and what it has carried, in a dialog. What is not saved is given up only after a question. */
export function PolicyEditor({ token, onClose }: PolicyEditorProps): ReactNode {
  const t = useMessages()
  const { loaded, error } = useLoaded(token.id)
  const [changed, setChanged] = useState(false)
  const [asking, setAsking] = useState(false)
  const name = tokenName(token)
  useHeld(changed, () => setAsking(true))
  const mayClose = (): boolean => {
    setAsking(changed)
    return !changed
  }
  return (
    <Modal title={t.policy.title(name)} onClose={onClose} mayClose={mayClose} form broad>
      <Tabs.Root defaultValue="policy">
        <Tabs.List className="tabs" aria-label={t.policy.title(name)}>
          <Tabs.Tab value="policy" className="tab">
            {t.policy.tab}
          </Tabs.Tab>
          <Tabs.Tab value="usage" className="tab">
            {t.usage.tab}
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="policy" className="panel" keepMounted>
          {loaded === undefined && error === undefined && <p className="muted loading">{t.list.loading}</p>}
          {error !== undefined && (
            <p className="problem" role="alert">
              {t.list.failed(error.message)}
            </p>
          )}
          {loaded !== undefined && (
            <PolicyForm
              token={loaded}
              onChanged={setChanged}
              onCancel={() => mayClose() && onClose()}
              onSaved={onClose}
            />
          )}
        </Tabs.Panel>
        <Tabs.Panel value="usage" className="panel">
          <UsagePanel token={token} />
        </Tabs.Panel>
      </Tabs.Root>
      {asking && (
        <Confirm
          title={t.policy.discardTitle}
          lines={[t.policy.discardLead(name)]}
          action={t.policy.discard}
          onConfirm={async () => onClose()}
          onClose={() => setAsking(false)}
        />
      )}
    </Modal>
  )
}

/** The token with all of its policy, which lists leave out. */
function useLoaded(id: string): { readonly loaded: Token | undefined; readonly error: Error | undefined } {
  const { api } = useSession()
  const [loaded, setLoaded] = useState<Token>()
  const [error, setError] = useState<Error>()
  useEffect(() => {
    let shown = true
    api.token(id).then(
      (token) => shown && setLoaded(token),
      (thrown: Error) => shown && setError(thrown),
    )
    return () => {
      shown = false
    }
  }, [api, id])
  return { loaded, error }
}

/** While something is not saved, neither the browser's Back nor closing the page passes over it. */
function useHeld(holds: boolean, onLeave: () => void): void {
  const leave = useRef(onLeave)
  leave.current = onLeave
  useEffect(() => {
    if (!holds) return undefined
    const letGo = holdRoute(() => leave.current())
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault()
    addEventListener('beforeunload', warn)
    return () => {
      letGo()
      removeEventListener('beforeunload', warn)
    }
  }, [holds])
}

interface PolicyFormProps {
  readonly token: Token
  readonly onChanged: (changed: boolean) => void
  readonly onCancel: () => void
  readonly onSaved: () => void
}

function PolicyForm({ token, onChanged, onCancel, onSaved }: PolicyFormProps): ReactNode {
  const t = useMessages()
  const { mayWrite } = useSession()
  const [first] = useState(() => draftOf(token.policy ?? null))
  const [draft, setDraft] = useState(first)
  const problems = useProblems()
  const trial = useTrial(token, draft, problems)
  const saving = useSaving(token, draft, problems, onSaved)
  const { clear } = problems
  const { forget } = trial
  const edit: Edit = useCallback(
    (update) => {
      setDraft(update)
      forget()
      clear()
    },
    [forget, clear],
  )
  const changed = JSON.stringify(draft) !== JSON.stringify(first)
  useEffect(() => onChanged(changed), [changed, onChanged])
  const parts = <PolicyParts token={token} draft={draft} edit={edit} trial={trial} />
  return (
    <ReadOnly value={!mayWrite}>
      <Faults value={problems.fault}>
        <div className="policy" ref={problems.frame}>
          {mayWrite ? (
            <FormFrame
              problem={problems.problem}
              busy={saving.busy}
              submit={t.form.submitEdit}
              onSubmit={() => void saving.save()}
              onCancel={onCancel}
            >
              {parts}
            </FormFrame>
          ) : (
            <div className="form-body">{parts}</div>
          )}
        </div>
      </Faults>
    </ReadOnly>
  )
}

interface PolicyPartsProps {
  readonly token: Token
  readonly draft: PolicyDraft
  readonly edit: Edit
  readonly trial: TrialState
}

function PolicyParts({ token, draft, edit, trial: { verdict, busy, ask } }: PolicyPartsProps): ReactNode {
  const { mayWrite } = useSession()
  // another token's rules are not in sight here
  const decided = verdict?.token_id === token.id && verdict.rule !== null ? verdict.rule - 1 : undefined
  return (
    <>
      <Rules draft={draft} decided={decided} edit={edit} />
      {mayWrite && <Trial verdict={verdict} busy={busy} ask={ask} />}
      <Counts draft={draft} edit={edit} />
      <Rates draft={draft} edit={edit} />
      <Quota draft={draft} edit={edit} />
      <Sources draft={draft} edit={edit} />
      <ClientSubjects draft={draft} edit={edit} />
      <Hours draft={draft} edit={edit} />
    </>
  )
}

interface Problems {
  /** Beside a field. */
  readonly fault: Fault | undefined
  /** Of the whole. */
  readonly problem: string | undefined
  readonly frame: RefObject<HTMLDivElement | null>
  readonly clear: () => void
  /** What can't be read is shown at its field. @returns the policy, when all of it can be read */
  readonly read: (draft: PolicyDraft) => Policy | undefined
  /** Of a call that failed; at a field when it names one. @param other the place when it names none */
  readonly failed: (error: unknown, other?: string) => void
}

function useProblems(): Problems {
  const t = useMessages()
  const [fault, setFault] = useState<Fault>()
  const [problem, setProblem] = useState<string>()
  const frame = useRef<HTMLDivElement>(null)
  const has = (place: string): boolean => frame.current?.querySelector(`[data-place="${place}"]`) != null
  useEffect(() => {
    if (fault === undefined) return
    frame.current?.querySelector<HTMLElement>(`[data-place="${fault.place}"]`)?.focus()
  }, [fault])
  const clear = useCallback(() => {
    setFault(undefined)
    setProblem(undefined)
  }, [])
  const read = (draft: PolicyDraft): Policy | undefined => {
    const { policy, unread } = readDraft(draft)
    const [wrong] = unread
    setProblem(undefined)
    setFault(wrong === undefined ? undefined : { place: wrong.place, text: t.policy.unread[wrong.kind] })
    return wrong === undefined ? policy : undefined
  }
  const failed = (error: unknown, other?: string): void => {
    const text = failureText(t, error)
    const refused = error instanceof ApiError && error.status === 400
    const named = refused ? (placeOf(error.message) ?? other) : other
    if (named !== undefined && has(named)) setFault({ place: named, text })
    else setProblem(text)
  }
  return { fault, problem, frame, clear, read, failed }
}

interface TrialState {
  readonly verdict: Verdict | undefined
  readonly busy: boolean
  readonly ask: (target: string, protocol: Protocol) => void
  /** What was found holds no longer. */
  readonly forget: () => void
}

function useTrial(token: Token, draft: PolicyDraft, { read, failed }: Problems): TrialState {
  const { api } = useSession()
  const [verdict, setVerdict] = useState<Verdict>()
  const [busy, setBusy] = useState(false)
  /** Counts what makes earlier answers worthless. */
  const turn = useRef(0)
  const forget = useCallback(() => {
    turn.current += 1
    setVerdict(undefined)
    setBusy(false)
  }, [])
  const ask = async (target: string, protocol: Protocol): Promise<void> => {
    forget()
    // what the rules don't ask for needn't be right yet
    const policy = read({ ...draftOf(null), rules: draft.rules, egressDefault: draft.egressDefault })
    if (policy === undefined) return
    const own = turn.current
    setBusy(true)
    try {
      const answer = await api.check(token.id, { target, protocol, policy })
      if (own === turn.current) setVerdict(answer)
    } catch (error) {
      if (own === turn.current) failed(error, 'target')
    }
    if (own === turn.current) setBusy(false)
  }
  return { verdict, busy, ask: (target, protocol) => void ask(target, protocol), forget }
}

interface Saving {
  readonly busy: boolean
  readonly save: () => Promise<void>
}

function useSaving(token: Token, draft: PolicyDraft, { read, failed }: Problems, onSaved: () => void): Saving {
  const t = useMessages()
  const { api, tokens } = useSession()
  const [busy, setBusy] = useState(false)
  const save = async (): Promise<void> => {
    if (read(draft) === undefined) return
    const policy = changesOf(token.policy ?? null, draft)
    if (Object.keys(policy).length === 0) return onSaved()
    setBusy(true)
    try {
      tokens.replace(await api.changeToken(token.id, { policy }))
      tell(t.policy.saved)
      onSaved()
    } catch (error) {
      failed(error)
    }
    setBusy(false)
    await tokens.reload()
  }
  return { busy, save }
}
