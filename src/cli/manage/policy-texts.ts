/** Texts of the policy flags, as the API has what they mean. Each throws ERR_OPTION without the name of the flag. */
import { MAX_PORT } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { AddressList } from '../../policy/address-list.js'
import { hostEntries } from '../../policy/host-entry.js'
import { OpeningHours, WEEKDAYS } from '../../policy/opening-hours.js'
import { SubjectList } from '../../policy/subject-list.js'
import { MAX_QUOTA_BYTES, QUOTA_DIRECTIONS, QUOTA_PERIODS } from '../../policy/traffic-limits.js'
import type { EgressRule, PolicyHours, PolicyQuota, Weekday } from '../../policy-fields.js'
import { invalid, parseSize } from '../settings/values.js'

const RULE_FORM =
  'HOST[:PORTS][/tcp|/udp] such as *.example.com:443, 10.0.0.0/8, [2001:db8::1]:22,8000-8999 or *:53/udp'
const QUOTA_FORM = 'SIZE/PERIOD, PERIOD day, month or total, such as 50G/month or 500M/day/down, or none'
const HOURS_FORM = "[DAYS] FROM-TO [ZONE] such as 'mon-fri 08:00-18:00 Europe/Berlin'"

/** `*.example.com:443`, `10.0.0.0/8`, `[2001:db8::]/32:22,8000-8999`, `@private`, `:22` or `*:53/udp`. */
export function parseEgressRule(text: string, action: EgressRule['action']): EgressRule {
  const [, rest = '', protocol] = /^(.*?)(?:\/(tcp|udp))?$/s.exec(text) ?? []
  const [host, ports] = hostAndPorts(rest) ?? []
  if (host === undefined || (host === '' && ports === undefined)) throw invalid(RULE_FORM, text)
  const any = host === '' || host === '*'
  const entries = any ? [] : hostEntries(host)
  if (typeof entries === 'string') throw new LinkSocksError('ERR_OPTION', entries)
  return {
    action,
    ...(!any && { hosts: [host] }),
    ...(ports !== undefined && { ports: ports.split(',').map(parsePorts) }),
    ...(protocol !== undefined && { protocol: protocol as 'tcp' | 'udp' }),
  }
}

/** IPv6 stands in brackets, for it would take a port as its last group; a network of it may stand without. */
function hostAndPorts(text: string): readonly [host: string, ports: string | undefined] | undefined {
  const [whole, inside, bits = '', behind] = /^\[([^[\]]+)\](\/\d{1,3})?(?::(.+))?$/.exec(text) ?? []
  if (whole !== undefined) return [`${inside}${bits}`, behind]
  const [network, address, ofNetwork] = /^([^[\]]+:[^[\]]*\/\d{1,3})(?::(.+))?$/.exec(text) ?? []
  if (network !== undefined && address !== undefined) return [address, ofNetwork]
  const [host = '', ports, ...more] = text.split(':')
  return more.length > 0 || ports === '' ? undefined : [host, ports]
}

/** `22` or `8000-8999`. */
function parsePorts(text: string): number | readonly [number, number] {
  const [, low, high = low] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const [first, last] = [Number(low), Number(high)]
  if (!(first >= 1 && first <= last && last <= MAX_PORT)) throw invalid(`ports from 1 to ${MAX_PORT}`, text)
  return text.includes('-') ? [first, last] : first
}

/** `mon-fri 08:00-18:00 Europe/Berlin`; without days every day, without a zone UTC. */
export function parseHours(text: string): PolicyHours {
  const [, days, from, to, zone] = /^(?:([a-z,-]+)\s+)?([\d:]+)-([\d:]+)(?:\s+(\S+))?$/i.exec(text.trim()) ?? []
  if (from === undefined || to === undefined) throw invalid(HOURS_FORM, text)
  const hours = {
    ...(days !== undefined && { days: parseDays(days.toLowerCase()) }),
    ...{ from, to },
    ...(zone !== undefined && { zone }),
  }
  const problem = OpeningHours.of([hours])
  if (typeof problem === 'string') throw new LinkSocksError('ERR_OPTION', problem)
  return hours
}

/** `mon`, `mon-fri`, `sat-mon` or several with commas between, in the order of the week. */
function parseDays(text: string): readonly Weekday[] {
  const given = text.split(',').flatMap((part) => {
    const [first = -1, last = -1, ...more] = part.split('-').map((day) => WEEKDAYS.indexOf(day as Weekday))
    const end = part.includes('-') ? last : first
    if (first < 0 || end < 0 || more.length > 0) throw invalid(`days such as mon,wed or mon-fri`, text)
    const count = ((end - first + WEEKDAYS.length) % WEEKDAYS.length) + 1
    return Array.from({ length: count }, (_, index) => (first + index) % WEEKDAYS.length)
  })
  return WEEKDAYS.filter((_, index) => given.includes(index))
}

/** CIDR, IP text or a range. */
export function parseSource(text: string): string {
  const problem = AddressList.of([text])
  if (typeof problem === 'string') throw new LinkSocksError('ERR_OPTION', problem)
  return text
}

/** The whole subject of a certificate. */
export function parseSubject(text: string): string {
  const problem = SubjectList.of([text])
  if (typeof problem === 'string') throw new LinkSocksError('ERR_OPTION', problem)
  return text
}

/** What a flag says that takes a limit away. */
const NO_LIMIT = 'none'

/** `10M`, or `null` for `none`. */
export function parseLimit(text: string, max: number): number | null {
  return text === NO_LIMIT ? null : parseSize(text, 1, max, `, or ${NO_LIMIT}`)
}

/** `50G/month` or `500M/day/down`, or `null` for `none`. */
export function parseQuota(text: string): PolicyQuota | null {
  if (text === NO_LIMIT) return null
  const [size = '', first, second, ...more] = text.split('/')
  const period = QUOTA_PERIODS.find((known) => known === first)
  const direction = QUOTA_DIRECTIONS.find((known) => known === second)
  if (period === undefined || direction !== second || more.length > 0) throw invalid(QUOTA_FORM, text)
  return { bytes: parseSize(size, 1, MAX_QUOTA_BYTES), period, ...(direction !== undefined && { direction }) }
}
