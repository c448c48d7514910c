import { MAX_POLICY_NUMBER } from '../../policy/compiled-policy.js'
import { optionError, type Settings } from '../settings/environment.js'
import { type Flag, longName } from '../settings/flags.js'
import { parseInteger } from '../settings/values.js'
import {
  ALLOW,
  CONNECTS_PER_MINUTE,
  DEFAULT_ALLOW,
  DEFAULT_DENY,
  DENY,
  EGRESS_FLAGS,
  HOURS,
  MAX_CLIENTS,
  MAX_STREAMS,
  NO_CONNECTS_PER_MINUTE,
  NO_EGRESS,
  NO_HOURS,
  NO_MAX_CLIENTS,
  NO_MAX_STREAMS,
  NO_POLICY,
  NO_POLICY_FLAGS,
  NO_SOURCES,
  POLICY_FLAGS,
  SOURCE,
} from './policy-flags.js'
import { parseEgressRule, parseHours, parseSource } from './policy-texts.js'

/** A policy, or a change of one, as the API takes it. */
type PolicyBody = Readonly<Record<string, unknown>>

/** @returns `undefined` when no flag says anything of it. @throws {LinkSocksError} ERR_OPTION */
export function readPolicy(settings: Settings): PolicyBody | undefined {
  refuseBoth(settings, [DEFAULT_ALLOW, DEFAULT_DENY])
  const egress = settings.inOrder([ALLOW, DENY], (text, flag) =>
    parseEgressRule(text, flag === ALLOW ? 'allow' : 'deny'),
  )
  return unlessEmpty({
    egress: unlessNone(egress),
    egress_default: settings.given(DEFAULT_ALLOW) ? 'allow' : settings.given(DEFAULT_DENY) ? 'deny' : undefined,
    max_streams: settings.value(MAX_STREAMS, parseCount),
    max_clients: settings.value(MAX_CLIENTS, parseCount),
    connects_per_minute: settings.value(CONNECTS_PER_MINUTE, parseCount),
    sources: unlessNone(settings.values(SOURCE, parseSource)),
    hours: unlessNone(settings.values(HOURS, parseHours)),
  })
}

/** @returns `null` to clear all of it, `undefined` to leave it. @throws {LinkSocksError} ERR_OPTION */
export function readPolicyChange(settings: Settings): PolicyBody | null | undefined {
  for (const flag of EGRESS_FLAGS) refuseBoth(settings, [flag, NO_EGRESS])
  refuseBoth(settings, [SOURCE, NO_SOURCES])
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
    hours: NO_HOURS,
  }).filter(([, flag]) => settings.given(flag))
  return unlessEmpty({ ...readPolicy(settings), ...Object.fromEntries(cleared.map(([field]) => [field, null])) })
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
