import { maskReceivedToken } from '../../api/mask.js'
import { sizeText } from '../settings/values.js'
import { JSON_OUTPUT, SHOW_TOKENS } from './manage-flags.js'
import { checkTokenId, unknownId } from './manage-settings.js'
import { readShownToken, type ShownPolicy, type ShownPorts, type ShownToken } from './read-answers.js'
import { cell, type Fact, factLines, jsonText, NONE } from './table.js'
import type { Task } from './task.js'
import { quotaText, quotaUseText } from './traffic-texts.js'

/** `linksocks token show <id>`: with all of its access rules and its policy. */
export async function showToken({ api, settings, words, io }: Task): Promise<void> {
  const [id = ''] = words
  checkTokenId('token show', id)
  const answer = await api.about('GET', `/api/tokens/${id}`)
  if (answer === undefined) throw unknownId(id)
  if (settings.enabled(JSON_OUTPUT)) {
    io.stdout.write(jsonText(answer.body))
    return
  }
  const token = readShownToken(answer.body)
  if (token === undefined) throw api.foreign(answer)
  const parts = [tokenText(token, settings.enabled(SHOW_TOKENS)), rulesText(token.rules), policyText(token.policy)]
  io.stdout.write(parts.join('\n'))
}

function tokenText(token: ShownToken, whole: boolean): string {
  const { port, port_error, username, reverse_id, quota } = token
  return factLines('', [
    ['id', token.id],
    ['type', cell(token.type)],
    ['label', cell(token.label)],
    ['token', cell(whole ? token.token : maskReceivedToken(token.token))],
    ['state', cell(token.state)],
    ['expires', cell(token.expires_at)],
    ['clients', String(token.clients)],
    ...(port == null ? [] : [['port', `${port}${port_error ? ` (closed: ${cell(port_error)})` : ''}`] as const]),
    ...(username == null ? [] : [['user name', cell(username)] as const]),
    ...(reverse_id == null ? [] : [['reverse', reverse_id] as const]),
    ...(quota == null ? [] : [['used', quotaUseText(quota)] as const]),
  ])
}

function rulesText(rules: ShownToken['rules']): string {
  if (rules == null) return `access rules: ${NONE}\n`
  if (rules.length === 0) return 'access rules: none\n'
  const parts = rules.map(({ addrs, ports }) => [listText(addrs ?? [], 'any address'), portsText(ports)])
  return `access rules:\n${numbered(parts)}`
}

/** Fields that this version does not know stand at the end as they are: a newer server limits by them. */
function policyText(policy: ShownToken['policy']): string {
  if (policy === undefined) return `policy: ${NONE}\n`
  if (policy === null) return 'policy: none\n'
  const { egress, egress_default, max_streams, max_clients, connects_per_minute, ...more } = policy
  const { sources, client_subjects, hours, rate, quota, ...others } = more
  const rules = egress ?? []
  const counts = { 'max streams': max_streams, 'max clients': max_clients, 'connects a minute': connects_per_minute }
  const facts: readonly Fact[] = [
    ...(egress == null && egress_default == null ? [] : [['otherwise', defaultOf(policy)] as const]),
    ...Object.entries(counts).flatMap(([name, count]) => (count == null ? [] : [[name, String(count)] as const])),
    ...(sources == null ? [] : [['sources', listText(sources, NONE)] as const]),
    ...(client_subjects ?? []).map((subject) => ['client subject', cell(subject)] as const),
    ...(hours ?? []).map((time) => ['hours', hoursText(time)] as const),
    ...Object.entries(rate ?? {}).flatMap(([field, bytes]) => (bytes == null ? [] : [rateFact(field, bytes)])),
    ...(quota == null ? [] : [['quota', quotaText(quota)] as const]),
    ...Object.entries(others).map(([name, value]) => [cell(name), cell(JSON.stringify(value))] as const),
  ]
  const lines = `${numbered(rules.map(ruleParts))}${factLines('  ', facts)}`
  return lines === '' ? 'policy: none\n' : `policy:\n${lines}`
}

const RATE_NAMES = new Map([
  ['up', 'rate up'],
  ['down', 'rate down'],
  ['burst', 'rate burst'],
  ['stream_up', 'stream rate up'],
  ['stream_down', 'stream rate down'],
])

/** By the name and in the form that its flag has. */
function rateFact(field: string, value: unknown): Fact {
  const text = typeof value === 'number' ? sizeText(value) : cell(JSON.stringify(value))
  return [RATE_NAMES.get(field) ?? cell(`rate ${field}`), text]
}

/** What holds where no rule speaks of a destination. */
function defaultOf({ egress, egress_default }: ShownPolicy): string {
  const allows = (egress ?? []).some(({ action }) => action === 'allow')
  return cell(egress_default ?? (allows ? 'deny' : 'allow'))
}

function ruleParts({ action, hosts, ports, protocol, ...others }: ShownRule): readonly string[] {
  return [
    `${cell(action).padEnd('allow'.length)} ${listText(hosts ?? [], 'any host')}`,
    portsText(ports),
    protocol == null ? '' : cell(protocol),
    ...Object.entries(others).map(([name, value]) => cell(`${name} ${JSON.stringify(value)}`)),
  ]
}

type ShownRule = NonNullable<ShownPolicy['egress']>[number]

function portsText(ports: ShownPorts): string {
  if (ports == null || ports.length === 0) return ''
  const texts = ports.map((port) => (typeof port === 'number' ? String(port) : port.join('-')))
  return `${texts.length === 1 && !Array.isArray(ports[0]) ? 'port' : 'ports'} ${texts.join(', ')}`
}

function hoursText({ days, from, to, zone }: NonNullable<ShownPolicy['hours']>[number]): string {
  return `${days == null ? 'every day' : days.map(cell).join(',')} ${cell(from)}-${cell(to)} ${cell(zone ?? 'UTC')}`
}

function listText(texts: readonly string[], none: string): string {
  return texts.length === 0 ? none : texts.map(cell).join(', ')
}

/** A line for each rule; no columns, because one of them may have 2,000 hosts. */
function numbered(rules: readonly (readonly string[])[]): string {
  const width = String(rules.length).length
  return rules
    .map(
      (parts, index) => `  ${String(index + 1).padStart(width)}  ${parts.filter((part) => part !== '').join('; ')}\n`,
    )
    .join('')
}
