import { LinkSocksError } from '../errors.js'
import type { TokenPolicy } from '../policy-fields.js'
import { AddressList } from './address-list.js'
import { EgressRules } from './egress-rules.js'
import { OpeningHours } from './opening-hours.js'
import { SubjectList } from './subject-list.js'
import { checkQuota, checkRate } from './traffic-limits.js'

/** Largest of a policy's numbers. */
export const MAX_POLICY_NUMBER = 1_000_000_000

/** A policy, checked and ready to judge. */
export class CompiledPolicy {
  /** As it was given, without what sets no limit. */
  readonly policy: TokenPolicy
  readonly egress: EgressRules | undefined
  readonly sources: AddressList | undefined
  readonly clientSubjects: SubjectList | undefined
  readonly hours: OpeningHours | undefined

  /**
   * @param before what is the same in it is taken from there, as the same objects
   * @throws {LinkSocksError} ERR_OPTION, which names the field
   */
  constructor(policy: TokenPolicy, before?: CompiledPolicy) {
    this.policy = withoutAbsent(policy)
    const isSame = (...fields: (keyof TokenPolicy)[]): boolean =>
      before !== undefined && fields.every((field) => sameJson(this.policy[field], before.policy[field]))
    const { egress, egressDefault, sources, clientSubjects, hours, rate, quota } = this.policy
    for (const field of ['maxStreams', 'maxClients', 'connectsPerMinute'] as const)
      checkNumber(field, this.policy[field])
    if (egressDefault !== undefined && egressDefault !== 'allow' && egressDefault !== 'deny')
      throw invalid('egressDefault must be allow or deny')
    if (rate !== undefined) checkRate(rate)
    if (quota !== undefined) checkQuota(quota)
    const leads = egress !== undefined || egressDefault !== undefined
    if (isSame('egress', 'egressDefault')) this.egress = before?.egress
    else this.egress = leads ? new EgressRules(egress ?? [], egressDefault) : undefined
    this.sources = checked('sources', sources, (given) => AddressList.of(given))
    this.clientSubjects = checked('clientSubjects', clientSubjects, (given) => SubjectList.of(given))
    this.hours = isSame('hours') ? before?.hours : checked('hours', hours, (given) => OpeningHours.of(given))
  }
}

/** @returns `undefined` for a policy that sets no limit. @throws {LinkSocksError} ERR_OPTION */
export function compiledPolicy(policy: TokenPolicy | undefined, before?: CompiledPolicy): CompiledPolicy | undefined {
  if (policy === undefined || Object.keys(withoutAbsent(policy)).length === 0) return undefined
  return new CompiledPolicy(policy, before)
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** A copy without fields that are absent, inside rules, hours and limits too. Of no rules and no rates nothing is left either. */
function withoutAbsent({ egress, hours, rate, quota, ...rest }: TokenPolicy): TokenPolicy {
  const rules = egress?.length === 0 ? undefined : egress?.map(present)
  const rates = rate && present(rate)
  const limited = rates !== undefined && Object.keys(rates).some((field) => field !== 'burst')
  const limits = { rate: limited ? rates : undefined, quota: quota && present(quota) }
  return structuredClone(present({ egress: rules, hours: hours?.map(present), ...rest, ...limits }))
}

function present<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

function checkNumber(field: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= MAX_POLICY_NUMBER)) return
  throw invalid(`${field} must be an integer from 0 to ${MAX_POLICY_NUMBER}`)
}

function checked<T, R>(
  field: string,
  value: readonly T[] | undefined,
  read: (value: readonly T[]) => R | string,
): R | undefined {
  if (value === undefined) return undefined
  // it could be meant as nobody and as everybody
  if (value.length === 0) throw invalid(`${field} must not be empty: leave it out for no limit`)
  const result = read(value)
  if (typeof result === 'string') throw invalid(`${field}: ${result}`)
  return result
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
