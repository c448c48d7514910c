import { maskReceivedToken } from '../../api/mask.js'
import { remoteText } from '../../log.js'
import type { ApiClient } from './api-client.js'
import { JSON_OUTPUT } from './manage-flags.js'
import {
  type ListedClient,
  type ListedToken,
  readListedClient,
  readOldStatus,
  readServer,
  type ServerAnswer,
} from './read-answers.js'
import { ageText, bytesText, cell, durationText, jsonText, NONE, renderTable } from './table.js'
import type { Task } from './task.js'
import { oldTokens, tokenOf, tokenTable } from './token-list.js'

type DrainingAnswer = NonNullable<ServerAnswer['draining_processes']>[number]

const HEADINGS = ['TOKEN', 'ROLE', 'ADDRESS', 'STATE', 'SINCE', 'RTT', 'STREAMS', 'RECEIVED', 'SENT', 'CLIENT ID']

/** `linksocks status`; of an older server what it tells. */
export async function showStatus({ api, settings, io }: Task): Promise<void> {
  const json = settings.enabled(JSON_OUTPUT)
  const body = await api.find('/api/server')
  if (body === undefined) return showOldStatus({ api, io }, json)
  const server = readServer(body)
  if (server === undefined) throw api.foreign({ status: 200 })
  const tokens = (await api.list('/api/tokens', 'tokens')) ?? []
  const clients = (await api.list('/api/clients', 'clients')) ?? []
  if (json) {
    io.stdout.write(jsonText({ server: body, tokens, clients }))
    return
  }
  const rows = clientRows(
    tokens.map((item) => tokenOf(api, item)),
    clients.map((item) => clientOf(api, item)),
  )
  io.stdout.write(serverText(api.url, server))
  io.stdout.write(rows.length === 0 ? '\nno clients\n' : `\n${renderTable(HEADINGS, rows, io.stdout.columns)}`)
}

async function showOldStatus({ api, io }: Pick<Task, 'api' | 'io'>, json: boolean): Promise<void> {
  const document = await api.get('/api/status')
  const version = readOldStatus(document)?.version
  if (json && version !== undefined) {
    io.stdout.write(jsonText(document))
    return
  }
  const table = tokenTable(oldTokens(api, document), false, io.stdout.columns)
  io.stdout.write(`LinkSocks ${cell(version)} at ${api.url}, which tells no more than its tokens\n\n${table}`)
}

function clientOf(api: ApiClient, item: unknown): ListedClient {
  const client = readListedClient(item)
  if (client === undefined) throw api.foreign({ status: 200 })
  return client
}

function serverText(url: string, server: ServerAnswer): string {
  const { draining, draining_processes: others, key, durable, alarms } = server
  const facts = [
    [
      'up',
      `${ageText(server.started_at, Date.now())} (since ${cell(server.started_at)})${draining ? ', draining' : ''}`,
    ],
    ...(others ?? []).map((other, index) => [index === 0 ? 'draining' : '', drainingText(other)]),
    ['key', `${cell(key.name)} (${cell(key.role)})`],
    ['tokens', `${server.tokens}, ${durable ? 'kept on disk' : 'those of the API in memory only'}`],
    ['clients', String(server.clients)],
    ['streams', String(server.streams)],
    ['received', bytesText(server.received_bytes)],
    ['sent', bytesText(server.sent_bytes)],
    ['alarms', alarms.length === 0 ? 'none' : String(alarms.length)],
    ...alarms.map((alarm) => ['', alarmText(alarm)]),
  ]
  const lines = facts.map(([name = '', value]) => `${name.padEnd(10)}${value}`)
  return `LinkSocks ${remoteText(server.version)} at ${url}\n${lines.join('\n')}\n`
}

/** A process that had the data directory before. */
function drainingText({ pid, version, since, until, clients, streams }: DrainingAnswer): string {
  const now = Date.now()
  const end = Date.parse(until)
  const left = Number.isNaN(end) ? cell(until) : durationText(end - now)
  return `process ${pid} (LinkSocks ${remoteText(version)}), ${counted(streams, 'stream')} of ${counted(clients, 'client')}, for ${ageText(since, now)}, ${left} left at most`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function alarmText({ code, subject, message, since }: ServerAnswer['alarms'][number]): string {
  const about = subject === undefined || subject === null ? '' : ` ${remoteText(subject)}`
  return `${remoteText(code)}${about}: ${remoteText(message)} (for ${ageText(since, Date.now())})`
}

/** Clients in the order of the tokens they belong to. */
function clientRows(tokens: readonly ListedToken[], clients: readonly ListedClient[]): readonly (readonly string[])[] {
  const places = new Map(tokens.map(({ id }, index) => [id, index]))
  const placeOf = (client: ListedClient): number => places.get(client.token_id) ?? tokens.length
  const now = Date.now()
  return [...clients]
    .sort((a, b) => placeOf(a) - placeOf(b))
    .map((client) => [
      tokenName(tokens[placeOf(client)], client.token_id),
      cell(client.role),
      cell(client.address),
      cell(client.state),
      ageText(client.since, now),
      typeof client.rtt_ms === 'number' ? `${Math.round(client.rtt_ms)} ms` : NONE,
      String(client.streams),
      bytesText(client.received_bytes),
      bytesText(client.sent_bytes),
      client.id,
    ])
}

function tokenName(token: ListedToken | undefined, id: string): string {
  return cell(token?.label ?? (token === undefined ? id : maskReceivedToken(token.token)))
}
