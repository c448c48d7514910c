/** A policy as its editor holds it: texts, as they are typed. */
import type {
  Action,
  EgressRule,
  Policy,
  PolicyChange,
  PolicyHours,
  PolicyRate,
  Protocol,
  QuotaDirection,
  QuotaPeriod,
  Weekday,
} from '../../api/types.js'
import { amountText, parseAmount } from '../../text/format.js'

export const WEEKDAYS: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
export const COUNTS = ['max_streams', 'max_clients', 'connects_per_minute'] as const
export const RATES = ['up', 'down', 'burst', 'stream_up', 'stream_down'] as const
const FIELDS = ['egress', 'egress_default', ...COUNTS, 'sources', 'client_subjects', 'hours', 'rate', 'quota'] as const

export interface RuleDraft {
  /** Stays with the rule when it is moved. */
  readonly key: number
  readonly action: Action
  /** Separated by blanks, commas or lines. */
  readonly hosts: string
  readonly ports: string
  readonly protocol: Protocol | ''
}

export interface HoursDraft {
  readonly key: number
  readonly days: readonly Weekday[]
  readonly from: string
  readonly to: string
  readonly zone: string
}

export interface PolicyDraft {
  readonly rules: readonly RuleDraft[]
  readonly egressDefault: Action | ''
  readonly counts: Readonly<Record<(typeof COUNTS)[number], string>>
  readonly sources: string
  /** One a line: they have blanks and commas inside. */
  readonly clientSubjects: string
  readonly hours: readonly HoursDraft[]
  readonly rate: Readonly<Record<(typeof RATES)[number], string>>
  readonly quota: { readonly bytes: string; readonly period: QuotaPeriod; readonly direction: QuotaDirection }
}

/** A text that can't be read, with the place of its field: `egress.0`, `max_streams`, `rate.up`. */
export interface Unread {
  readonly place: string
  readonly kind: 'ports' | 'count' | 'amount' | 'days'
}

let lastKey = 0

function nextKey(): number {
  lastKey += 1
  return lastKey
}

export function newRule(): RuleDraft {
  return { key: nextKey(), action: 'allow', hosts: '', ports: '', protocol: '' }
}

export function newHours(zone: string): HoursDraft {
  return { key: nextKey(), days: WEEKDAYS.slice(0, 5), from: '08:00', to: '18:00', zone }
}

export function draftOf(policy: Policy | null): PolicyDraft {
  const {
    egress = [],
    egress_default,
    sources = [],
    client_subjects = [],
    hours = [],
    rate = {},
    quota,
  }: Policy = policy ?? {}
  const countText = (field: (typeof COUNTS)[number]): string => String(policy?.[field] ?? '')
  const rateText = (field: (typeof RATES)[number]): string => {
    const value = rate[field]
    return value === undefined ? '' : amountText(value)
  }
  return {
    rules: egress.map(ruleDraft),
    egressDefault: egress_default ?? '',
    counts: recordOf(COUNTS, countText),
    sources: sources.join('\n'),
    clientSubjects: client_subjects.join('\n'),
    hours: hours.map(({ days = WEEKDAYS, from, to, zone = '' }) => ({ key: nextKey(), days, from, to, zone })),
    rate: recordOf(RATES, rateText),
    quota: {
      bytes: quota === undefined ? '' : amountText(quota.bytes),
      period: quota?.period ?? 'month',
      direction: quota?.direction ?? 'both',
    },
  }
}

function ruleDraft({ action, hosts = [], ports = [], protocol }: EgressRule): RuleDraft {
  const entries = ports.map((port) => (typeof port === 'number' ? port : port.join('-')))
  return { key: nextKey(), action, hosts: hosts.join(' '), ports: entries.join(' '), protocol: protocol ?? '' }
}

/** The policy that a draft makes, as far as its texts can be read; the relay judges what they mean. */
export function readDraft(draft: PolicyDraft): { readonly policy: Policy; readonly unread: readonly Unread[] } {
  const unread: Unread[] = []
  const report = (place: string, kind: Unread['kind']): void => void unread.push({ place, kind })
  const sources = wordsOf(draft.sources)
  const clientSubjects = linesOf(draft.clientSubjects)
  const policy = {
    ...(draft.rules.length > 0 && { egress: draft.rules.map((rule, index) => readRule(rule, index, report)) }),
    ...(draft.egressDefault !== '' && { egress_default: draft.egressDefault }),
    ...readCounts(draft.counts, report),
    ...(sources.length > 0 && { sources }),
    ...(clientSubjects.length > 0 && { client_subjects: clientSubjects }),
    ...(draft.hours.length > 0 && { hours: draft.hours.map((one, index) => readHours(one, index, report)) }),
    ...readRate(draft.rate, report),
    ...readQuota(draft.quota, report),
  }
  return { policy, unread }
}

type Report = (place: string, kind: Unread['kind']) => void

function readRule({ action, hosts, ports, protocol }: RuleDraft, index: number, report: Report): EgressRule {
  const names = wordsOf(hosts)
  const entries = wordsOf(ports).map(portOf)
  const known = entries.filter((entry) => entry !== undefined)
  if (known.length < entries.length) report(`egress.${index}`, 'ports')
  return {
    action,
    ...(names.length > 0 && { hosts: names }),
    ...(known.length > 0 && { ports: known }),
    ...(protocol !== '' && { protocol }),
  }
}

function portOf(text: string): number | readonly [number, number] | undefined {
  const [, low, high] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  if (low === undefined) return undefined
  return high === undefined ? Number(low) : [Number(low), Number(high)]
}

function readCounts(counts: PolicyDraft['counts'], report: Report): Pick<Policy, (typeof COUNTS)[number]> {
  return filled(COUNTS, (field) => {
    const text = counts[field].trim()
    if (text === '') return undefined
    if (/^\d{1,15}$/.test(text)) return Number(text)
    report(field, 'count')
    return undefined
  })
}

function readHours({ days, from, to, zone }: HoursDraft, index: number, report: Report): PolicyHours {
  if (days.length === 0) report(`hours.${index}`, 'days')
  const name = zone.trim()
  return {
    ...(days.length < WEEKDAYS.length && { days: WEEKDAYS.filter((day) => days.includes(day)) }),
    from: from.trim(),
    to: to.trim(),
    ...(name !== '' && { zone: name }),
  }
}

function readRate(rate: PolicyDraft['rate'], report: Report): Pick<Policy, 'rate'> {
  const read: PolicyRate = filled(RATES, (field) => readAmount(rate[field], `rate.${field}`, report))
  return Object.keys(read).length > 0 ? { rate: read } : {}
}

function readQuota({ bytes, period, direction }: PolicyDraft['quota'], report: Report): Pick<Policy, 'quota'> {
  const amount = readAmount(bytes, 'quota.bytes', report)
  return amount === undefined ? {} : { quota: { bytes: amount, period, direction } }
}

function readAmount(text: string, place: string, report: Report): number | undefined {
  if (text.trim() === '') return undefined
  const amount = parseAmount(text)
  if (amount === undefined) report(place, 'amount')
  return amount
}

/** Only what differs: what others changed meanwhile stays. */
export function changesOf(stored: Policy | null, draft: PolicyDraft): PolicyChange {
  const before = readDraft(draftOf(stored)).policy
  const after = readDraft(draft).policy
  const changed = FIELDS.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]))
  return Object.fromEntries(changed.map((field) => [field, after[field] ?? null])) as PolicyChange
}

/** The rules with one of them moved by one place. */
export function moved(rules: readonly RuleDraft[], from: number, by: -1 | 1): readonly RuleDraft[] {
  const rule = rules[from]
  const other = rules[from + by]
  if (rule === undefined || other === undefined) return rules
  return rules.with(from, other).with(from + by, rule)
}

/** The names under which messages of the relay speak of fields, where these are others. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  egressDefault: 'egress_default',
  maxStreams: 'max_streams',
  maxClients: 'max_clients',
  connectsPerMinute: 'connects_per_minute',
  clientSubjects: 'client_subjects',
  streamUp: 'stream_up',
  streamDown: 'stream_down',
}

/** The place of the field that a message of the relay names; `undefined`: none that is known. */
export function placeOf(message: string): string | undefined {
  const rule = /^policy: egress rule (\d+)/.exec(message)?.[1]
  if (rule !== undefined) return `egress.${Number(rule) - 1}`
  const [, name = '', index, part] =
    /^(?:unknown field: )?policy(?:\.|: )(\w+)(?:\[(\d+)\])?(?:\.(\w+))?/.exec(message) ?? []
  const field = OTHER_NAMES[name] ?? name
  if (!FIELDS.some((known) => known === field)) return undefined
  const inside = index ?? (field === 'rate' || field === 'quota' ? part : undefined)
  return inside === undefined ? field : `${field}.${OTHER_NAMES[inside] ?? inside}`
}

function wordsOf(text: string): readonly string[] {
  return text.split(/[\s,;]+/).filter((word) => word !== '')
}

/** Lines without blanks around them, but for one at the end that is escaped: a subject may end in it. */
function linesOf(text: string): readonly string[] {
  const lines = text.split(/[\r\n]+/).map((line) => {
    const bare = line.trim()
    return /\s$/.test(line) && /(?<!\\)(?:\\\\)*\\$/.test(bare) ? `${bare} ` : bare
  })
  return lines.filter((line) => line !== '')
}

function recordOf<Name extends string, Value>(
  names: readonly Name[],
  value: (name: Name) => Value,
): Readonly<Record<Name, Value>> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, Value>
}

/** Without the names that have no value. */
function filled<Name extends string, Value>(
  names: readonly Name[],
  value: (name: Name) => Value | undefined,
): { readonly [Key in Name]?: Value } {
  const entries = names.map((name) => [name, value(name)] as const).filter(([, one]) => one !== undefined)
  return Object.fromEntries(entries) as { [Key in Name]?: Value }
}
