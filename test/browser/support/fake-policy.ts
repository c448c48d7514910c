import type {
  Policy,
  PolicyChange,
  PolicyQuota,
  Question,
  QuotaUse,
  Usage,
  Verdict,
} from '../../../dashboard/src/api/types.js'
import { EgressRules } from '../../../src/policy/egress-rules.js'
import { Refused } from './refused.js'

/** The rules of a policy, judged by what the relay judges them with. */
function rulesOf({ egress = [], egress_default }: Policy): EgressRules {
  try {
    return new EgressRules(egress, egress_default)
  } catch (error) {
    throw new Refused(400, `policy: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** @returns `null` when nothing is left of it. @throws {Refused} the rules are none */
export function changedPolicy(before: Policy | null, change: PolicyChange): Policy | null {
  const fields = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null)
  const policy = Object.fromEntries(fields) as Policy
  rulesOf(policy)
  return fields.length === 0 ? null : policy
}

/** @throws {Refused} the target or the rules are none */
export function check(tokenId: string, { target, protocol, policy }: Question): Verdict {
  const [, host = '', port] = /^(.+):([0-9]{1,5})$/.exec(target) ?? []
  if (port === undefined)
    throw new Refused(400, 'target must be host:port with a port from 1 to 65535, IPv6 in brackets')
  const judgement = rulesOf(policy).judgeAsked({ host, port: Number(port) }, protocol)
  if (judgement === 'depends') {
    const reason = 'depends on the addresses of the name, which the server looks up'
    return { result: 'depends', rule: null, token_id: tokenId, reason }
  }
  const { allowed, rule } = judgement
  const verb = allowed ? 'allows' : 'denies'
  const reason =
    rule === 0
      ? `no rule of its policy speaks of it, and its default ${verb} it`
      : `rule ${rule} of its policy ${verb} it`
  return { result: allowed ? 'allow' : 'deny', rule: rule === 0 ? null : rule, token_id: tokenId, reason }
}

export function quotaOf(quota: PolicyQuota | undefined, used: number): QuotaUse | null {
  if (quota === undefined) return null
  const resets_at = quota.period === 'total' ? null : '2199-01-01T00:00:00.000Z'
  return { ...quota, direction: quota.direction ?? 'both', used, used_up: used >= quota.bytes, resets_at }
}

/** Of a token that has carried nothing. */
export function usageOf(tokenId: string): Usage {
  const nothing = { up: 0, down: 0 }
  return {
    token_id: tokenId,
    since: '2026-11-01T00:00:00.000Z',
    total: nothing,
    month: nothing,
    day: nothing,
    rate: nothing,
    throttled: nothing,
    dropped_datagrams: 0,
    refusals: {
      egress: 0,
      depends: 0,
      streams: 0,
      connects: 0,
      hours: 0,
      sources: 0,
      subjects: 0,
      clients: 0,
      quota: 0,
    },
    quota: null,
  }
}
