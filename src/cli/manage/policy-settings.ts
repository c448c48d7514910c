import { MAX_POLICY_NUMBER } from '../../policy/compiled-policy.js'
import { MAX_BURST_BYTES, MAX_RATE } from '../../policy/traffic-limits.js'
import { optionError, type Settings } from '../settings/environment.js'
import { type Flag, longName } from '../settings/flags.js'
import { parseInteger } from '../settings/values.js'
import {
  ALLOW,
  CLIENT_SUBJECT,
  CONNECTS_PER_MINUTE,
  DEFAULT_ALLOW,
  DEFAULT_DENY,
  DENY,
  EGRESS_FLAGS,
  HOURS,
  MAX_CLIENTS,
  MAX_STREAMS,
  NO_CLIENT_SUBJECTS,
  NO_CONNECTS_PER_MINUTE,
  NO_EGRESS,
  NO_HOURS,
  NO_MAX_CLIENTS,
  NO_MAX_STREAMS,
  NO_POLICY,
  NO_POLICY_FLAGS,
  NO_SOURCES,
  POLICY_FLAGS,
  QUOTA,
  RATE_BURST,
  RATE_DOWN,
  RATE_UP,
  SOURCE,
  STREAM_RATE_DOWN,
  STREAM_RATE_UP,
} from './policy-flags.js'
import { parseEgressRule, parseHours, parseLimit, parseQuota, parseSource, parseSubject } from './policy-texts.js'

/** A policy, or a change of one, as the API takes it. */
type PolicyBody = Readonly<Record<string, unknown>>

/** The rates of a policy as the API has them; one that is `null` in a change of them is taken away. */
export type Rates = Readonly<Record<string, unknown>>

/** @returns `undefined` when no flag says anything of it. @throws {LinkSocksError} ERR_OPTION */
export function readPolicy(settings: Settings): PolicyBody | undefined {
  const rates = readRates(settings)
  return unlessEmpty({
    ...readFields(settings),
    rate: (rates && mergeRates({}, rates)) ?? undefined,
    quota: settings.value(QUOTA, parseQuota) ?? undefined,
  })
}

/** Those that the API has as the command line does. */
function readFields(settings: Settings): PolicyBody {
  refuseBoth(settings, [DEFAULT_ALLOW, DEFAULT_DENY])
  const egress = settings.inOrder([ALLOW, DENY], (text, flag) =>
    parseEgressRule(text, flag === ALLOW ? 'allow' : 'deny'),
  )
  return {
    egress: unlessNone(egress),
    egress_default: settings.given(DEFAULT_ALLOW) ? 'allow' : settings.given(DEFAULT_DENY) ? 'deny' : undefined,
    max_streams: settings.value(MAX_STREAMS, parseCount),
    max_clients: settings.value(MAX_CLIENTS, parseCount),
    connects_per_minute: settings.value(CONNECTS_PER_MINUTE, parseCount),
    sources: unlessNone(settings.values(SOURCE, parseSource)),
    client_subjects: unlessNone(settings.values(CLIENT_SUBJECT, parseSubject)),
    hours: unlessNone(settings.values(HOURS, parseHours)),
  }
}

/** What the flags of rates say, and nothing of the others; `undefined` when there is none. @throws {LinkSocksError} ERR_OPTION */
export function readRates(settings: Settings): Rates | undefined {
  const rate = (flag: Flag): number | null | undefined => settings.value(flag, (text) => parseLimit(text, MAX_RATE))
  return unlessEmpty({
    up: rate(RATE_UP),
    down: rate(RATE_DOWN),
    burst: settings.value(RATE_BURST, (text) => parseLimit(text, MAX_BURST_BYTES)),
    stream_up: rate(STREAM_RATE_UP),
    stream_down: rate(STREAM_RATE_DOWN),
  })
}

/**
 * The rates of a policy after a change of some of them.
 * @returns `null` when none is left: a burst alone limits nothing
 * @throws {LinkSocksError} ERR_OPTION: a burst is given, and no rate
 */
export function mergeRates(before: Rates, change: Rates): Rates | null {
  const merged = Object.entries({ ...before, ...change }).filter(([, value]) => value != null)
  if (merged.some(([field]) => field !== 'burst')) return Object.fromEntries(merged)
  if (change.burst == null) return null
  throw optionError(longName(RATE_BURST), `needs a rate: ${[RATE_UP, RATE_DOWN].map(longName).join(', ')} or another`)
}

/**
 * All but the rates, which the API takes as a whole.
 * @returns `null` to clear all of it, `undefined` to leave it. @throws {LinkSocksError} ERR_OPTION
 */
export function readPolicyChange(settings: Settings): PolicyBody | null | undefined {
  for (const flag of EGRESS_FLAGS) refuseBoth(settings, [flag, NO_EGRESS])
  refuseBoth(settings, [SOURCE, NO_SOURCES])
  refuseBoth(settings, [CLIENT_SUBJECT, NO_CLIENT_SUBJECTS])
  const others = [...POLICY_FLAGS, ...NO_POLICY_FLAGS].filter((flag) => flag !== NO_POLICY)
  for (const flag of others) refuseBoth(settings, [flag, NO_POLICY])
  if (settings.given(NO_POLICY)) return null
  const cleared = Object.entries({
    egress: NO_EGRESS,
    egress_default: NO_EGRESS,
    max_streams: NO_MAX_STREAMS,
    max_clients: NO_MAX_CLIENTS,
    connects_per_minute: NO_CONNECTS_PER_MINUTE,
    sources: NO_SOURCES,
    client_subjects: NO_CLIENT_SUBJECTS,
    hours: NO_HOURS,
  }).filter(([, flag]) => settings.given(flag))
  return unlessEmpty({
    ...readFields(settings),
    ...Object.fromEntries(cleared.map(([field]) => [field, null])),
    quota: settings.value(QUOTA, parseQuota),
  })
}

/** The flag of a policy that stands on the command line, for messages about all of them. */
export function policyFlag(settings: Settings): string {
  return longName(POLICY_FLAGS.find((flag) => settings.given(flag)) ?? ALLOW)
}

function refuseBoth(settings: Settings, flags: readonly [Flag, Flag]): void {
  if (!flags.every((flag) => settings.given(flag))) return
  const [first, second] = flags.map(longName)
  throw optionError(second ?? '', `cannot be combined with ${first}`)
}

function parseCount(text: string): number {
  return parseInteger(text, 0, MAX_POLICY_NUMBER)
}

function unlessNone<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length === 0 ? undefined : items
}

function unlessEmpty(fields: PolicyBody): PolicyBody | undefined {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  return given.length === 0 ? undefined : Object.fromEntries(given)
}
