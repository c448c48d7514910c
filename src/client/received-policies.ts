import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import type { Abortable, ChannelObserver, Observe } from '../mux/channel/observer.js'
import { DEPENDS, EgressRules, type Judgement, type Protocol } from '../policy/egress-rules.js'
import type { SocketAddress, Target, TargetJudge } from '../ports.js'
import { MIB } from '../protocol/limits.js'
import type { ConnectMessage } from '../protocol/messages.js'
import { decodePolicy, policyRef } from '../protocol/policy-message.js'

/** Policies that one server may have given at a time; what names one more is refused. */
export const MAX_RECEIVED_POLICIES = 100_000
/** Their messages together; what names one that went beyond is refused. */
export const MAX_RECEIVED_POLICY_BYTES = 128 * MIB

/** A policy that could not be read: nothing is allowed by it. */
const BROKEN = 'broken'

/** What runs under a policy. */
interface Judged {
  readonly refs: readonly number[]
  readonly target: Target
  readonly channel: Abortable
  address: SocketAddress | undefined
  /** It is connected. */
  opened: boolean
  /** A policy has changed since its addresses were judged, or before. */
  changed: boolean
}

interface Received {
  readonly rules: EgressRules | typeof BROKEN
  readonly bytes: number
}

/** What a server has its provider judge by: policies under numbers, which Connects name (docs/protocol.md B.4). */
export class ReceivedPolicies {
  readonly #log: Logger
  readonly #policies = new Map<number, Received>()
  #bytes = 0
  /** Of TCP: each datagram of an association is judged anyway. */
  readonly #running = new Set<Judged>()

  constructor(log: Logger) {
    this.#log = log
  }

  get size(): number {
    return this.#policies.size
  }

  /** Streams that are judged again when a policy changes. */
  get running(): number {
    return this.#running.size
  }

  /** Takes a Policy message: what runs under that number is judged again. */
  receive(raw: Uint8Array): void {
    const ref = policyRef(raw)
    this.#bytes -= this.#policies.get(ref)?.bytes ?? 0
    this.#policies.delete(ref)
    const rules = this.#read(raw, ref)
    if (rules !== undefined) this.#keep(ref, { rules, bytes: raw.byteLength })
    for (const one of [...this.#running]) {
      if (one.refs.includes(ref)) this.#judgeAgain(one)
    }
  }

  /** Who judges what a Connect asks for; `undefined` where it names no policy. */
  judgeOf({ trailer }: ConnectMessage): TargetJudge | undefined {
    const refs = trailer?.policies
    if (refs === undefined) return undefined
    return {
      asked: (target, protocol) => this.#problem(refs, (rules) => rules.judgeAsked(target, protocol)),
      address: (asked, address, protocol) => this.#problemAt(refs, { asked, address, protocol }),
    }
  }

  /** Follows a stream that was asked for under policies. */
  observe({ trailer, target }: ConnectMessage): Observe | undefined {
    const refs = trailer?.policies
    if (refs === undefined || target === undefined) return undefined
    return (_traffic, channel): ChannelObserver => {
      const judged: Judged = { refs, target, channel, address: undefined, opened: false, changed: false }
      this.#running.add(judged)
      return {
        opened: () => {
          judged.opened = true
        },
        reached: (address) => {
          judged.address = address
          // it was judged before it was connected to, which takes a while
          if (judged.changed) this.#judgeAgain(judged)
        },
        closed: () => void this.#running.delete(judged),
      }
    }
  }

  #keep(ref: number, received: Received): void {
    if (this.#policies.size >= MAX_RECEIVED_POLICIES) return
    if (this.#bytes + received.bytes > MAX_RECEIVED_POLICY_BYTES) return
    this.#policies.set(ref, received)
    this.#bytes += received.bytes
  }

  #read(raw: Uint8Array, ref: number): EgressRules | typeof BROKEN | undefined {
    try {
      const policy = decodePolicy(raw)
      return policy && new EgressRules(policy.egress ?? [], policy.egressDefault)
    } catch (thrown) {
      const { code, message } = LinkSocksError.from(thrown, 'ERR_MESSAGE_INVALID')
      this.#log.warn('policy.broken', { ref, code, reason: message })
      return BROKEN
    }
  }

  #judgeAgain(judged: Judged): void {
    const { refs, target, channel, address, opened } = judged
    judged.changed = true
    const problem =
      address === undefined
        ? this.#problem(refs, (rules) => rules.judgeAsked(target, 'tcp'))
        : this.#problemAt(refs, { asked: target.host, address, protocol: 'tcp' })
    if (problem === undefined) return
    // what is not connected yet is judged when it is; where it leads may be known to a proxy alone
    if (problem === DEPENDS && !opened) return
    const why = problem === DEPENDS ? 'the policy has changed, and its address is not known here' : problem
    channel.abort(new LinkSocksError('ERR_DIAL_NOT_ALLOWED', why))
  }

  #problemAt(
    refs: readonly number[],
    { asked, address, protocol }: { asked: string; address: SocketAddress; protocol: Protocol },
  ): string | undefined {
    return this.#problem(refs, (rules) => rules.judge(asked, address, protocol))
  }

  /** Every policy has to allow; one that is not there does not. */
  #problem<T extends Judgement | typeof DEPENDS>(
    refs: readonly number[],
    judge: (rules: EgressRules) => T,
  ): string | undefined {
    let depends = false
    for (const ref of refs) {
      const rules = this.#policies.get(ref)?.rules
      if (rules === undefined || rules === BROKEN) return 'its policy is not known here'
      const judgement: Judgement | typeof DEPENDS = judge(rules)
      if (judgement === DEPENDS) depends = true
      else if (!judgement.allowed) return deniedText(judgement)
    }
    return depends ? DEPENDS : undefined
  }
}

function deniedText({ rule }: Judgement): string {
  return rule === 0
    ? 'no rule of the policy of the token allows it'
    : `denied by rule ${rule} of the policy of the token`
}
