import type { CompiledPolicy } from '../../policy/compiled-policy.js'
import type { Clock } from '../../ports.js'
import { TokenTraffic } from '../traffic/token-traffic.js'
import type { MinuteCount } from './minute-count.js'

/** What runs with a token, for the limits of its policy. */
export interface TokenUse {
  /** Its streams, and those of its connector tokens. */
  streams: number
  /** Requests that were admitted and wait for a provider. */
  waiting: number
  /** What was asked for lately; kept where there is a limit. */
  connects: MinuteCount | undefined
  /** What went through them. */
  readonly traffic: TokenTraffic
}

/** A token, as far as policies are about it. */
export interface PolicedToken {
  /** Random and public. */
  readonly id: string
  readonly traits: { readonly policy?: CompiledPolicy | undefined }
  readonly use: TokenUse
}

/** Whose policies hold for what a token is used for: its own, and for a connector token that of its reverse token. */
export type Policed = readonly PolicedToken[]

/** What a policy refuses by. */
export const POLICY_REASONS = [
  'egress',
  'depends',
  'streams',
  'connects',
  'hours',
  'sources',
  'subjects',
  'clients',
  'quota',
] as const
export type PolicyReason = (typeof POLICY_REASONS)[number]

export interface PolicyRefusal {
  readonly tokenId: string
  readonly reason: PolicyReason
  /** Of an egress rule, from 1; 0: none spoke of it. */
  readonly rule?: number | undefined
  /** What was asked for, or from where; not for secrets. */
  readonly subject?: string | undefined
}

/** Hears of what policies refuse. */
export interface Refusals {
  refused(refusal: PolicyRefusal): void
}

/** @param id of the token @param createdAt in Unix milliseconds */
export function newUse(clock: Clock, id: string, createdAt: number): TokenUse {
  return { streams: 0, waiting: 0, connects: undefined, traffic: new TokenTraffic(clock, id, createdAt) }
}

/** Whose rates and quotas hold, and whose use is counted. */
export function trafficOf(tokens: Policed): readonly TokenTraffic[] {
  return tokens.map(({ use }) => use.traffic)
}

/** Whether any of them sets a limit. */
export function isLimited(tokens: Policed): boolean {
  return tokens.some(({ traits }) => traits.policy !== undefined)
}
