import type { EgressRules } from '../../policy/egress-rules.js'
import { encodePolicy } from '../../protocol/policy-message.js'
import type { Policed, PolicedToken } from './policed-token.js'

/** Policies that one provider has at a time; the one that was named longest ago is given back. */
export const MAX_SENT_POLICIES = 1_000

interface Sent {
  readonly ref: number
  readonly egress: EgressRules
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

  /** The numbers of the policies that say where these tokens lead, for a Connect. What the provider lacks is sent first. */
  refsOf(tokens: Policed): readonly number[] {
    return tokens.flatMap((token) => this.#refOf(token) ?? [])
  }

  /** The policy of a token has changed, or is gone: where the provider has it, it hears so at once. */
  changed({ id, traits }: PolicedToken): void {
    const sent = this.#sent.get(id)
    const egress = traits.policy?.egress
    if (sent === undefined || sent.egress === egress) return
    if (egress === undefined) this.forget(id)
    else this.#tell(id, sent.ref, egress)
  }

  /** @param id of a token that is gone, or leads anywhere from now on */
  forget(id: string): void {
    const sent = this.#sent.get(id)
    if (sent === undefined) return
    this.#sent.delete(id)
    this.#send(encodePolicy({ ref: sent.ref }))
  }

  #refOf({ id, traits }: PolicedToken): number | undefined {
    const egress = traits.policy?.egress
    if (egress === undefined) return undefined
    const sent = this.#sent.get(id)
    if (sent?.egress !== egress) return this.#tell(id, sent?.ref ?? this.#nextRef(), egress)
    this.#sent.delete(id)
    this.#sent.set(id, sent)
    return sent.ref
  }

  #tell(id: string, ref: number, egress: EgressRules): number {
    this.#sent.delete(id)
    const [oldest] = this.#sent.keys()
    if (oldest !== undefined && this.#sent.size >= MAX_SENT_POLICIES) this.forget(oldest)
    this.#sent.set(id, { ref, egress })
    this.#send(encodePolicy({ ref, policy: egress.policy }))
    return ref
  }

  #nextRef(): number {
    this.#last += 1
    return this.#last
  }
}
