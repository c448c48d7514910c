import { Switch } from '@base-ui/react/switch'
import { type ReactNode, useMemo } from 'react'
import type { Token } from '../api/types.js'
import { servesAll } from '../commands.js'
import { CommandIcon, EditIcon, PolicyIcon, RemoveIcon } from '../parts/icons.js'
import { TwoLines, tokenName } from '../parts/names.js'
import { QuotaBar } from '../parts/quota-bar.js'
import { Badge, type Tone } from '../parts/small.js'
import type { Column } from '../parts/virtual-table.js'
import { masked, moment, protocolNames } from '../text/format.js'
import { useLocale, useMessages } from '../text/messages.js'

export type TokenAction = 'commands' | 'policy' | 'edit' | 'remove' | 'toggle'

const STATE_TONES: Readonly<Record<Token['state'], Tone>> = { active: 'good', disabled: 'neutral', expired: 'warn' }

type Act = (action: TokenAction, token: Token) => void

export function useTokenColumns(tokens: readonly Token[], act: Act, mayWrite: boolean): readonly Column<Token>[] {
  const t = useMessages()
  const locale = useLocale()
  const reverseNames = useMemo(
    () => new Map(tokens.filter(({ type }) => type === 'reverse').map((token) => [token.id, tokenName(token)])),
    [tokens],
  )
  return useMemo(
    () => [
      {
        key: 'name',
        title: t.tokens.name,
        cell: (row) => (
          <TwoLines
            first={row.label ?? t.tokens.unnamed}
            firstClass={row.label === null ? 'muted' : ''}
            second={masked(row.token)}
            secondClass="mono"
          />
        ),
        compare: (a, b) => tokenName(a).localeCompare(tokenName(b), undefined, { numeric: true }),
      },
      {
        key: 'type',
        title: t.tokens.type,
        cell: (row) => <TypeCell token={row} of={reverseNames.get(row.reverse_id ?? '')} />,
        compare: (a, b) => a.type.localeCompare(b.type),
      },
      {
        key: 'state',
        title: t.tokens.state,
        cell: (row) => (
          <>
            <span className="state">
              {mayWrite && <EnabledSwitch token={row} act={act} />}
              <Badge tone={STATE_TONES[row.state]}>{t.states[row.state]}</Badge>
            </span>
            {row.quota != null && <QuotaBar quota={row.quota} of={tokenName(row)} />}
          </>
        ),
        compare: (a, b) => a.state.localeCompare(b.state),
      },
      {
        key: 'port',
        title: t.tokens.port,
        cell: (row) => <PortCell token={row} />,
        compare: (a, b) => (a.port ?? 0) - (b.port ?? 0),
      },
      {
        key: 'clients',
        title: t.tokens.clients,
        numeric: true,
        cell: (row) => row.clients.toLocaleString(),
        compare: (a, b) => a.clients - b.clients,
      },
      {
        key: 'streams',
        title: t.tokens.streams,
        numeric: true,
        cell: (row) => row.streams.toLocaleString(),
        compare: (a, b) => a.streams - b.streams,
      },
      {
        key: 'expires',
        title: t.tokens.expires,
        cell: (row) =>
          row.expires_at === null ? <span className="muted">{t.tokens.never}</span> : moment(row.expires_at, locale),
        compare: (a, b) => (a.expires_at ?? '9').localeCompare(b.expires_at ?? '9'),
      },
      {
        key: 'actions',
        title: t.list.actions,
        actions: true,
        cell: (row) => <Actions token={row} act={act} mayWrite={mayWrite} />,
      },
    ],
    [t, locale, reverseNames, act, mayWrite],
  )
}

function TypeCell({ token, of }: { token: Token; of: string | undefined }): ReactNode {
  const t = useMessages()
  const name = t.types[token.type]
  const notes = [
    ...(token.allow_manage_connector ? [t.types.autonomy] : []),
    ...(of === undefined ? [] : [t.tokens.of(of)]),
    ...(token.rules_count > 0 ? [t.tokens.rules(token.rules_count)] : []),
    ...(token.has_policy ? [t.tokens.withPolicy] : []),
    ...(token.source === 'api' ? [] : [t.sources[token.source]]),
  ]
  return notes.length === 0 ? name : <TwoLines first={name} second={notes.join(' · ')} />
}

function PortCell({ token }: { token: Token }): ReactNode {
  const t = useMessages()
  if (token.port === null || token.port === undefined) return <span className="muted">–</span>
  if (token.port_error != null)
    return <TwoLines first={String(token.port)} second={token.port_error} secondClass="bad" />
  const protocols = token.proxy_protocols ?? []
  const facts = [
    token.listening ? t.tokens.listening : t.tokens.waiting,
    ...(token.username == null ? [] : [token.username]),
    ...(servesAll(protocols) ? [] : [protocolNames(protocols)]),
  ]
  return <TwoLines first={String(token.port)} second={facts.join(' · ')} />
}

function EnabledSwitch({ token, act }: { token: Token; act: Act }): ReactNode {
  const t = useMessages()
  return (
    <Switch.Root
      className="switch"
      checked={token.enabled}
      aria-label={t.tokens.enable(tokenName(token))}
      onCheckedChange={() => act('toggle', token)}
    >
      <Switch.Thumb className="thumb" />
    </Switch.Root>
  )
}

function Actions({ token, act, mayWrite }: { token: Token; act: Act; mayWrite: boolean }): ReactNode {
  const t = useMessages()
  const name = tokenName(token)
  return (
    <>
      <button
        type="button"
        className="button small"
        aria-label={t.tokens.commandsOf(name)}
        onClick={() => act('commands', token)}
      >
        <CommandIcon />
        {t.tokens.commands}
      </button>
      <button
        type="button"
        className="button small quiet icon-only"
        aria-label={t.policy.openOf(name)}
        aria-haspopup="dialog"
        title={t.policy.openUsage}
        onClick={() => act('policy', token)}
      >
        <PolicyIcon />
      </button>
      {mayWrite && (
        <>
          <button
            type="button"
            className="button small quiet icon-only"
            aria-label={t.tokens.editOf(name)}
            title={t.tokens.edit}
            onClick={() => act('edit', token)}
          >
            <EditIcon />
          </button>
          <button
            type="button"
            className="button small quiet icon-only"
            aria-label={t.tokens.removeOf(name)}
            title={t.tokens.remove}
            onClick={() => act('remove', token)}
          >
            <RemoveIcon />
          </button>
        </>
      )}
    </>
  )
}
