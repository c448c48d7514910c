import type { EgressRules } from '../../policy/egress-rules.js'
import { encodePolicy } from '../../protocol/policy-message.js'
import type { Policed, PolicedToken } from './policed-token.js'

/** Policies that one provider has at a time; the one that was named longest ago is given back. */
export const MAX_SENT_POLICIES = 10_000

interface Sent {
  readonly ref: number
  /** `undefined`: anywhere. */
  readonly egress: EgressRules | undefined
}

/** What one provider was told of policies, under which numbers (docs/protocol.md B.4). Each is sent once, and again when it has changed. */
export class SentPolicies {
  readonly #send: (message: Uint8Array) => void
  /** By the id of the token; named last, stands last. */
  readonly #sent = new Map<string, Sent>()
  #last = 0

  /** @param send messages reach the provider in the order in which they are given, those of channels included */
  constructor(send: (message: Uint8Array) => void) {
    this.#send = send
  }

  get size(): number {
    return this.#sent.size
  }

  /**
   * The numbers of the policies that say where these tokens lead, for a Connect. What the provider lacks is sent first. A token that leads
   * anywhere has a number as well: it may get a policy while what names it runs.
   */
  refsOf(tokens: Policed): readonly number[] {
    return tokens.map((token) => this.#refOf(token))
  }

  /** The policy of a token has changed, or is cleared: where the provider has it, it hears so at once, and what runs goes on by it. */
  changed({ id, traits }: PolicedToken): void {
    const sent = this.#sent.get(id)
    const egress = traits.policy?.egress
    if (sent !== undefined && sent.egress !== egress) this.#tell(id, sent.ref, egress)
  }

  /** @param id of a token that is gone */
  forget(id: string): void {
    const sent = this.#sent.get(id)
    if (sent === undefined) return
    this.#sent.delete(id)
    this.#send(encodePolicy({ ref: sent.ref }))
  }

  #refOf({ id, traits }: PolicedToken): number {
    const egress = traits.policy?.egress
    const sent = this.#sent.get(id)
    if (sent === undefined || sent.egress !== egress) return this.#tell(id, sent?.ref ?? this.#nextRef(), egress)
    this.#sent.delete(id)
    this.#sent.set(id, sent)
    return sent.ref
  }

  #tell(id: string, ref: number, egress: EgressRules | undefined): number {
    this.#sent.delete(id)
    const [oldest] = this.#sent.keys()
    if (oldest !== undefined && this.#sent.size >= MAX_SENT_POLICIES) this.forget(oldest)
    this.#sent.set(id, { ref, egress })
    this.#send(encodePolicy({ ref, policy: egress?.policy ?? {} }))
    return ref
  }

  #nextRef(): number {
    this.#last += 1
    return this.#last
  }
}
