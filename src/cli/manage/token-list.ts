import { maskReceivedToken } from '../../api/mask.js'
import type { ApiClient } from './api-client.js'
import { JSON_OUTPUT, SHOW_TOKENS } from './manage-flags.js'
import { type ListedToken, readListedToken, readOldStatus } from './read-answers.js'
import { cell, jsonText, NONE, renderTable } from './table.js'
import type { Task } from './task.js'
import { usedText } from './traffic-texts.js'

const HEADINGS = ['ID', 'TYPE', 'LABEL', 'TOKEN', 'STATE', 'CLIENTS', 'PORT', 'EXPIRES', 'QUOTA', 'RULES', 'POLICY']

/** `linksocks token list`; of an older server what its status says. */
export async function listTokens({ api, settings, io }: Task): Promise<void> {
  const items = await api.list('/api/tokens', 'tokens')
  const document = items === undefined ? await api.get('/api/status') : { tokens: items, total: items.length }
  if (settings.enabled(JSON_OUTPUT)) {
    io.stdout.write(jsonText(document))
    return
  }
  const tokens = items === undefined ? oldTokens(api, document) : items.map((item) => tokenOf(api, item))
  io.stdout.write(tokenTable(tokens, settings.enabled(SHOW_TOKENS), io.stdout.columns))
}

/** @throws {LinkSocksError} ERR_HTTP: it is none */
export function tokenOf(api: ApiClient, item: unknown): ListedToken {
  const token = readListedToken(item)
  if (token === undefined) throw api.foreign({ status: 200 })
  return token
}

/** Tokens as servers without ids tell them, connector tokens below their reverse token. */
export function oldTokens(api: ApiClient, document: unknown): readonly ListedToken[] {
  const status = readOldStatus(document)
  if (status === undefined) throw api.foreign({ status: 200 })
  return status.tokens.flatMap(({ token, type, clients_count, port, connector_tokens, error }) => [
    { ...UNKNOWN, type, token, clients: clients_count ?? 0, port, port_error: error },
    ...(connector_tokens ?? []).map((connector) => ({ ...UNKNOWN, type: 'connector', token: connector })),
  ])
}

const UNKNOWN = { id: NONE, state: NONE, clients: 0 } as const

/** One line for each token, or a sentence when there is none. */
export function tokenTable(tokens: readonly ListedToken[], whole: boolean, columns: number | undefined): string {
  if (tokens.length === 0) return 'no tokens\n'
  const rows = tokens.map((token) => [
    token.id,
    cell(token.type),
    cell(token.label),
    cell(whole ? token.token : maskReceivedToken(token.token)),
    cell(token.state),
    String(token.clients),
    `${token.port ?? NONE}${token.port_error ? ' (closed)' : ''}`,
    cell(token.expires_at),
    token.quota == null ? NONE : usedText(token.quota),
    `${token.rules_count ?? NONE}`,
    token.has_policy == null ? NONE : token.has_policy ? 'yes' : 'no',
  ])
  return renderTable(HEADINGS, rows, columns)
}
