import { literalIp } from '../../address.js'
import type { AccessList } from '../../exit/dial/access-rules.js'
import { defaultEgressPolicy } from '../../exit/dial/policy.js'
import type { CompiledPolicy } from '../../policy/compiled-policy.js'
import { DEPENDS, type Protocol } from '../../policy/egress-rules.js'
import type { TokenPolicy } from '../../policy-fields.js'
import type { AccessRule, Target } from '../../ports.js'
import type { ServerAccess } from './server-access.js'
import { policyOf } from './token-checks.js'
import type { Token } from './tokens.js'

/** Where somebody would go with a token. */
export interface DryRun {
  readonly target: Target
  readonly protocol: Protocol
  /** To judge by in place of the token's own; `null`: by none. @default its own */
  readonly policy?: TokenPolicy | null | undefined
}

export interface DryRunResult {
  /** `depends`: on addresses that only a look-up tells. */
  readonly result: 'allow' | 'deny' | typeof DEPENDS
  /** The number of the rule of the policy that decided, from 1. */
  readonly rule?: number | undefined
  /** The token whose policy or rules decided. */
  readonly tokenId?: string | undefined
  readonly reason: string
}

/**
 * Judges a destination as a connection there would be judged, without one: by the policies and access rules that hold for the token,
 * and by what no exit dials unless it is told to. Hours, sources and counts are not asked, and what a provider limits is not known.
 * @throws {LinkSocksError} ERR_TOKEN_INVALID: the policy is none
 */
export function dryRun(token: Token, { target, protocol, policy }: DryRun, access: ServerAccess): DryRunResult {
  const own = policy === undefined ? token.traits.policy : policyOf(policy ?? undefined)
  const rules = rulesOf(token, access)
  const depends =
    token.type === 'forward' || rules.length > 0
      ? 'depends on the addresses of the name, which the server looks up'
      : 'depends on the provider: it looks the name up, and judges its addresses'
  const judgements = [
    ...byPolicy(own, token.id, 'its policy', { target, protocol }),
    ...(token.type === 'connector'
      ? byPolicy(token.reverse.traits.policy, token.reverse.id, 'the policy of its reverse token', { target, protocol })
      : []),
    ...rules.map((limit) => byRules(limit, target)),
    ...byExit(target, protocol),
  ]
  const decided =
    judgements.find(({ result }) => result === 'deny') ??
    judgements.find(({ result }) => result === DEPENDS) ??
    judgements.find(({ result }) => result === 'allow')
  if (decided === undefined) return { result: 'allow', reason: 'no rule of a policy and no access rule speaks of it' }
  return decided.result === DEPENDS ? { ...decided, reason: depends } : decided
}

/** @returns none for a policy that says nothing of destinations */
function byPolicy(
  policy: CompiledPolicy | undefined,
  tokenId: string,
  name: string,
  { target, protocol }: DryRun,
): readonly DryRunResult[] {
  if (policy?.egress === undefined) return []
  const judgement = policy.egress.judgeAsked(target, protocol)
  if (judgement === DEPENDS) return [{ result: DEPENDS, tokenId, reason: '' }]
  const { allowed, rule } = judgement
  const result = allowed ? 'allow' : 'deny'
  const verb = allowed ? 'allows' : 'denies'
  if (rule === 0) return [{ result, tokenId, reason: `no rule of ${name} speaks of it, and its default ${verb} it` }]
  return [{ result, rule, tokenId, reason: `rule ${rule} of ${name} ${verb} it` }]
}

interface RulesLimit {
  readonly list: AccessList
  readonly tokenId: string | undefined
  /** Whose rules they are, for the reason. */
  readonly name: string
}

/** The access rules that hold for the destinations of a token: its own, and those of the server as a whole. */
function rulesOf(token: Token, access: ServerAccess): readonly RulesLimit[] {
  const own = token.traits.access
  const limits = own === undefined ? [] : [{ list: own, tokenId: token.id, name: 'its access rules' }]
  const server = token.type === 'forward' ? access.dial() : undefined
  const entry = token.type === 'reverse' && !token.autonomy && own === undefined ? access.entry() : undefined
  const list = server ?? entry
  return list === undefined ? limits : [...limits, { list, tokenId: undefined, name: 'the access rules of the server' }]
}

function byRules({ list, tokenId, name }: RulesLimit, { host, port }: Target): DryRunResult {
  const ip = literalIp(host)
  const result = ip === undefined ? ofName(list.rules, port) : list.allows({ host: ip, port }) ? 'allow' : 'deny'
  return { result, tokenId, reason: result === 'allow' ? `${name} allow it` : `none of ${name} allows it` }
}

/** What rules for addresses say of a name. */
function ofName(rules: readonly AccessRule[], port: number): DryRunResult['result'] {
  const speaking = rules.filter(({ ports }) => hasPort(ports, port))
  if (speaking.length === 0) return 'deny'
  return speaking.some(({ addresses = [] }) => addresses.length === 0) ? 'allow' : DEPENDS
}

function hasPort(ports: AccessRule['ports'] = [], port: number): boolean {
  const has = (entry: (typeof ports)[number]): boolean =>
    typeof entry === 'number' ? entry === port : entry[0] <= port && port <= entry[1]
  return ports.length === 0 || ports.some(has)
}

/** What every exit refuses unless it is told otherwise. */
function byExit({ host, port }: Target, protocol: Protocol): readonly DryRunResult[] {
  const ip = literalIp(host)
  const why = ip === undefined ? undefined : defaultEgressPolicy({ host: ip, port }, protocol)
  return why === undefined ? [] : [{ result: 'deny', reason: `the built-in policy of exits refuses it: ${why}` }]
}
