/** The policy of a token: what a request may hold, and how it is shown. */
import * as v from 'valibot'
import { MAX_PORT } from '../address.js'
import { MAX_ADDRESS_LIST } from '../policy/address-list.js'
import { MAX_POLICY_NUMBER } from '../policy/compiled-policy.js'
import { MAX_EGRESS_ENTRIES, MAX_EGRESS_RULES } from '../policy/egress-rules.js'
import { HOST_LISTS } from '../policy/host-entry.js'
import { MAX_HOURS, WEEKDAYS } from '../policy/opening-hours.js'
import { MAX_CLIENT_SUBJECTS } from '../policy/subject-list.js'
import {
  DEFAULT_BURST_BYTES,
  MAX_BURST_BYTES,
  MAX_QUOTA_BYTES,
  MAX_RATE,
  QUOTA_DIRECTIONS,
  QUOTA_PERIODS,
} from '../policy/traffic-limits.js'
import type { EgressRule, PolicyHours, PolicyQuota, PolicyRate, TokenPolicy } from '../policy-fields.js'
import type { PolicyChange } from '../relay/tokens/token-spec.js'
import { rulePort } from './fields.js'
import { objectOf, PATH } from './request/parse.js'

const PORT_ERROR = `${PATH} must be a port from 1 to ${MAX_PORT}, or two of them as [low, high]`
const ACTION_ERROR = `${PATH} must be allow or deny`
const PROTOCOL_ERROR = `${PATH} must be tcp or udp`
const NUMBER_ERROR = `${PATH} must be an integer from 0 to ${MAX_POLICY_NUMBER}`

/** A list of at least one: nobody knows whether an empty one means nothing or anything. */
const listOf = <Item extends v.GenericSchema>(item: Item, what: string, most: number) =>
  v.pipe(
    v.array(item, `${PATH} must be a list of ${what}`),
    v.minLength(1, `${PATH} must not be empty: leave it out for no limit`),
    v.maxLength(most, `${PATH} must be a list of at most ${most} ${what}`),
  )
const textOf = (what: string, description: string) =>
  v.pipe(v.string(`${PATH} must be ${what}`), v.minLength(1, `${PATH} must be ${what}`), v.metadata({ description }))

/** What a host or an address is, beyond its text, is left to the texts of the failures. */
const egressRule = objectOf({
  action: v.picklist(['allow', 'deny'], ACTION_ERROR),
  hosts: v.nullish(
    listOf(
      textOf('a host', `Name, *.suffix, CIDR, IP, A-B, 192.168.1.1-255 or ${HOST_LISTS.join(', ')}`),
      'hosts',
      MAX_EGRESS_ENTRIES,
    ),
  ),
  ports: v.nullish(listOf(rulePort(PORT_ERROR), 'ports', MAX_EGRESS_ENTRIES)),
  protocol: v.nullish(v.picklist(['tcp', 'udp'], PROTOCOL_ERROR)),
})

const timeOf = (pattern: RegExp, example: string) =>
  v.pipe(
    v.string(`${PATH} must be a time such as ${example}`),
    v.regex(pattern, `${PATH} must be a time such as ${example}`),
  )
const openTime = objectOf({
  days: v.nullish(listOf(v.picklist(WEEKDAYS, `${PATH} must be one of ${WEEKDAYS.join(', ')}`), 'days', 7)),
  from: timeOf(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, '08:00'),
  to: timeOf(/^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$/, '18:00 or 24:00'),
  zone: v.nullish(textOf('a time zone such as Europe/Berlin', 'Name of the IANA database; absent: UTC')),
})

const number = v.nullish(
  v.pipe(
    v.number(NUMBER_ERROR),
    v.integer(NUMBER_ERROR),
    v.minValue(0, NUMBER_ERROR),
    v.maxValue(MAX_POLICY_NUMBER, NUMBER_ERROR),
  ),
)

const bytesUpTo = (most: number, description: string) => {
  const error = `${PATH} must be an integer from 1 to ${most}`
  return v.pipe(
    v.number(error),
    v.integer(error),
    v.minValue(1, error),
    v.maxValue(most, error),
    v.metadata({ description }),
  )
}
const rateOf = (what: string) => v.nullish(bytesUpTo(MAX_RATE, `Bytes of payload a second ${what}`))
const rate = objectOf({
  up: rateOf('towards destinations, all streams together'),
  down: rateOf('from destinations, all streams together'),
  burst: v.nullish(bytesUpTo(MAX_BURST_BYTES, `Bytes at once after a pause; absent: ${DEFAULT_BURST_BYTES}`)),
  stream_up: rateOf('towards the destination, each stream'),
  stream_down: rateOf('from the destination, each stream'),
})

export const quotaPeriod = v.picklist(QUOTA_PERIODS, `${PATH} must be one of ${QUOTA_PERIODS.join(', ')}`)
export const quotaDirection = v.picklist(QUOTA_DIRECTIONS, `${PATH} must be one of ${QUOTA_DIRECTIONS.join(', ')}`)
const quota = objectOf({
  bytes: bytesUpTo(MAX_QUOTA_BYTES, 'Bytes of payload in each period'),
  period: quotaPeriod,
  direction: v.nullish(quotaDirection),
})

/** In a request and in an answer, where nothing is null. */
export const policySchema = objectOf({
  egress: v.nullish(
    v.pipe(
      v.array(egressRule, `${PATH} must be a list of rules`),
      v.maxLength(MAX_EGRESS_RULES, `${PATH} must be a list of at most ${MAX_EGRESS_RULES} rules`),
    ),
  ),
  egress_default: v.nullish(v.picklist(['allow', 'deny'], ACTION_ERROR)),
  max_streams: number,
  max_clients: number,
  connects_per_minute: number,
  sources: v.nullish(listOf(textOf('an address', 'CIDR, IP, A-B or 192.168.1.1-255'), 'addresses', MAX_ADDRESS_LIST)),
  client_subjects: v.nullish(
    listOf(textOf('a subject', 'Whole, as RFC 4514 writes it: CN=ann,O=Example'), 'subjects', MAX_CLIENT_SUBJECTS),
  ),
  hours: v.nullish(listOf(openTime, 'times', MAX_HOURS)),
  rate: v.nullish(rate),
  quota: v.nullish(quota),
})

type PolicyBody = v.InferOutput<typeof policySchema>

/** As a new policy: what is null or absent sets no limit. */
export function policyOf(body: PolicyBody | null | undefined): TokenPolicy | undefined {
  if (body == null) return undefined
  return Object.fromEntries(Object.entries(policyChangeOf(body)).filter(([, value]) => value !== null))
}

/** As a change of the one there is: absent fields stay, null clears. */
export function policyChangeOf(body: PolicyBody): PolicyChange {
  const {
    egress,
    egress_default,
    max_streams,
    max_clients,
    connects_per_minute,
    sources,
    client_subjects,
    hours,
    rate,
    quota,
  } = body
  return present({
    egress: egress == null ? egress : egress.map(ruleOf),
    egressDefault: egress_default,
    maxStreams: max_streams,
    maxClients: max_clients,
    connectsPerMinute: connects_per_minute,
    sources,
    clientSubjects: client_subjects,
    hours: hours == null ? hours : hours.map(hoursOf),
    rate: rate == null ? rate : limitOf(rateFieldsOf(rate)),
    quota: quota == null ? quota : quotaOf(quota),
  })
}

function ruleOf({ action, hosts, ports, protocol }: v.InferOutput<typeof egressRule>): EgressRule {
  const entries = ports?.map((entry) => (typeof entry === 'number' ? entry : ([entry[0] ?? 0, entry[1] ?? 0] as const)))
  return present({ action, hosts: hosts ?? undefined, ports: entries, protocol: protocol ?? undefined })
}

function hoursOf({ days, from, to, zone }: v.InferOutput<typeof openTime>): PolicyHours {
  return present({ days: days ?? undefined, from, to, zone: zone ?? undefined })
}

function rateFieldsOf({ up, down, burst, stream_up, stream_down }: v.InferOutput<typeof rate>): PolicyRate {
  const fields = { up, down, burst, streamUp: stream_up, streamDown: stream_down }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null))
}

/** A rate that limits nothing clears the one there is. */
function limitOf(rate: PolicyRate): PolicyRate | null {
  return Object.keys(rate).length === 0 ? null : rate
}

function quotaOf({ bytes, period, direction }: v.InferOutput<typeof quota>): PolicyQuota {
  return present({ bytes, period, direction: direction ?? undefined })
}

/** Each field is named, so that a field that is added inside is never shown by accident. */
export function policyView(policy: TokenPolicy | undefined): PolicyBody | null {
  if (policy === undefined) return null
  const {
    egress,
    egressDefault,
    maxStreams,
    maxClients,
    connectsPerMinute,
    sources,
    clientSubjects,
    hours,
    rate,
    quota,
  } = policy
  return present({
    egress: egress?.map(ruleView),
    egress_default: egressDefault,
    max_streams: maxStreams,
    max_clients: maxClients,
    connects_per_minute: connectsPerMinute,
    sources: sources && [...sources],
    client_subjects: clientSubjects && [...clientSubjects],
    hours: hours?.map(({ days, from, to, zone }) => present({ days: days && [...days], from, to, zone })),
    rate: rate && rateView(rate),
    quota: quota && present({ bytes: quota.bytes, period: quota.period, direction: quota.direction }),
  })
}

function rateView({ up, down, burst, streamUp, streamDown }: PolicyRate): v.InferOutput<typeof rate> {
  return present({ up, down, burst, stream_up: streamUp, stream_down: streamDown })
}

function ruleView({ action, hosts = [], ports = [], protocol }: EgressRule): v.InferOutput<typeof egressRule> {
  const entries = ports.map((entry) => (typeof entry === 'number' ? entry : [...entry]))
  return present({
    action,
    hosts: hosts.length > 0 ? [...hosts] : undefined,
    ports: entries.length > 0 ? entries : undefined,
    protocol,
  })
}

/** What the log says of a change: `egress=3,max_streams=100,hours=none`; of lists how long they are. */
export function policyText(body: PolicyBody | null | undefined): string | undefined {
  if (body == null) return body === null ? 'none' : undefined
  const fields = Object.entries(body).filter(([, value]) => value !== undefined)
  return fields.map(([name, value]) => `${name}=${fieldText(value)}`).join(',')
}

function fieldText(value: PolicyBody[keyof PolicyBody]): string {
  if (value == null) return 'none'
  if (Array.isArray(value)) return String(value.length)
  if (typeof value !== 'object') return String(value)
  const set = Object.entries(value).filter(([, field]) => field != null)
  return set.map(([name, field]) => `${name}:${field}`).join('/')
}

function present<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}
