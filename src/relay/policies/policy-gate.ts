import { addressText } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { CompiledPolicy } from '../../policy/compiled-policy.js'
import { DEPENDS, type Judgement, type Protocol } from '../../policy/egress-rules.js'
import { momentText } from '../../policy/opening-hours.js'
import type { Clock, SocketAddress, Target } from '../../ports.js'
import { MinuteCount } from './minute-count.js'
import type { Policed, PolicedToken, PolicyRefusal, Refusals } from './policed-token.js'

/**
 * Who looks names up. `here`: the relay, which asks about each destination then. `judges`: something that judges the addresses of a name.
 * `blind`: something that knows no policies, so that what depends on addresses is refused.
 */
export type Exit = 'here' | 'judges' | 'blind'

/** A stream that was asked for. */
export interface Asked {
  readonly protocol: Protocol
  /** Absent for UDP: each datagram has its own. */
  readonly target?: Target | undefined
}

/** Judges what is asked for by the policies that hold for it. */
export class PolicyGate {
  readonly #clock: Clock
  readonly #refusals: Refusals

  constructor(clock: Clock, refusals: Refusals) {
    this.#clock = clock
    this.#refusals = refusals
  }

  /**
   * Admits a stream, which is counted where that is limited.
   * @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED, with the reason
   */
  admit(tokens: Policed, asked: Asked, exit: Exit): void {
    for (const token of tokens) {
      const { policy } = token.traits
      if (policy !== undefined) this.#check(token, policy, asked, exit)
    }
    for (const token of tokens) this.#count(token)
  }

  /**
   * Judges again what was admitted and had to wait.
   * @param asked with the address that a name was looked up to, if it was
   * @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED, with the reason
   */
  admitAgain(
    tokens: Policed,
    { protocol, target, name }: Asked & { readonly name?: string | undefined },
    exit: Exit,
  ): void {
    for (const token of tokens) {
      const { policy } = token.traits
      if (policy === undefined) continue
      this.#checkHours(token, policy, target)
      this.#checkQuota(token, target)
      if (name === undefined || target === undefined) this.#checkEgress(token, policy, { protocol, target }, exit)
      else {
        const judgement = policy.egress?.judge(name, target, protocol)
        if (judgement?.allowed === false)
          throw this.#refuse(
            egressRefusal(token, judgement, addressText({ host: name, port: target.port })),
            textOf(judgement),
          )
      }
    }
  }

  /** Judges a destination of an association. */
  allowsDatagram(tokens: Policed, target: Target, exit: Exit): boolean {
    return this.#judge(tokens, 'udp', target, exit)
  }

  /** Judges a destination before its name is looked up, at an exit that judges its addresses then. @returns why not */
  problemOf(tokens: Policed, protocol: Protocol, target: Target): string | typeof DEPENDS | undefined {
    let depends = false
    for (const token of tokens) {
      const judgement = token.traits.policy?.egress?.judgeAsked(target, protocol)
      if (judgement === undefined) continue
      if (judgement === DEPENDS) depends = true
      else if (!judgement.allowed) {
        this.#refusals.refused(egressRefusal(token, judgement, addressText(target)))
        return textOf(judgement)
      }
    }
    return depends ? DEPENDS : undefined
  }

  /** Judges an address that a destination leads to: another one of it may do. @returns why not */
  problemAt(tokens: Policed, protocol: Protocol, asked: string, address: SocketAddress): string | undefined {
    const denied = deniedAt(tokens, protocol, asked, address)
    return denied && textOf(denied.judgement)
  }

  /** A destination was refused for what problemAt() said of this address. */
  refusedAt(tokens: Policed, protocol: Protocol, asked: string, address: SocketAddress): void {
    const denied = deniedAt(tokens, protocol, asked, address)
    if (denied === undefined) return
    this.#refusals.refused(
      egressRefusal(denied.token, denied.judgement, addressText({ host: asked, port: address.port })),
    )
  }

  #check(token: PolicedToken, policy: CompiledPolicy, asked: Asked, exit: Exit): void {
    this.#checkHours(token, policy, asked.target)
    this.#checkCounts(token, policy, asked.target)
    this.#checkQuota(token, asked.target)
    this.#checkEgress(token, policy, asked, exit)
  }

  #checkHours({ id }: PolicedToken, { hours }: CompiledPolicy, target: Target | undefined): void {
    const time = this.#clock.wallTime()
    if (hours === undefined || hours.isOpen(time)) return
    throw this.#refuse({ tokenId: id, reason: 'hours', subject: textAt(target) }, closedText(hours.opensAt(time)))
  }

  #checkCounts(token: PolicedToken, policy: CompiledPolicy, target: Target | undefined): void {
    const { maxStreams, connectsPerMinute } = policy.policy
    if (connectsPerMinute !== undefined && (token.use.connects?.count ?? 0) >= connectsPerMinute) {
      const text = `the token may ask for ${connectsPerMinute} connections a minute`
      throw this.#refuse({ tokenId: token.id, reason: 'connects', subject: textAt(target) }, text)
    }
    if (maxStreams !== undefined && token.use.streams + token.use.waiting >= maxStreams) {
      const text = `the token may have ${maxStreams} connections at a time`
      throw this.#refuse({ tokenId: token.id, reason: 'streams', subject: textAt(target) }, text)
    }
  }

  #checkQuota({ id, use }: PolicedToken, target: Target | undefined): void {
    const why = use.traffic.refusal()
    if (why !== undefined) throw this.#refuse({ tokenId: id, reason: 'quota', subject: textAt(target) }, why)
  }

  #checkEgress(token: PolicedToken, policy: CompiledPolicy, { protocol, target }: Asked, exit: Exit): void {
    if (target === undefined || exit === 'here') return
    const judgement = policy.egress?.judgeAsked(target, protocol)
    if (judgement === undefined) return
    const refusal = refusalOf(token, judgement, target, exit)
    if (refusal !== undefined)
      throw this.#refuse(refusal, refusal.reason === 'depends' ? DEPENDS_TEXT : textOf(judgement))
  }

  #judge(tokens: Policed, protocol: Protocol, target: Target, exit: Exit): boolean {
    for (const token of tokens) {
      const judgement = token.traits.policy?.egress?.judgeAsked(target, protocol)
      const refusal = judgement && refusalOf(token, judgement, target, exit)
      if (refusal === undefined) continue
      this.#refusals.refused(refusal)
      return false
    }
    return true
  }

  #count({ use, traits }: PolicedToken): void {
    if (traits.policy?.policy.connectsPerMinute === undefined) use.connects = undefined
    else {
      use.connects ??= new MinuteCount(this.#clock)
      use.connects.add()
    }
  }

  #refuse(refusal: PolicyRefusal, text: string): LinkSocksError {
    this.#refusals.refused(refusal)
    return new LinkSocksError('ERR_DIAL_NOT_ALLOWED', text)
  }
}

/** Whose policy does not let a destination lead there. */
function deniedAt(
  tokens: Policed,
  protocol: Protocol,
  asked: string,
  address: SocketAddress,
): { readonly token: PolicedToken; readonly judgement: Judgement } | undefined {
  for (const token of tokens) {
    const judgement = token.traits.policy?.egress?.judge(asked, address, protocol)
    if (judgement?.allowed === false) return { token, judgement }
  }
  return undefined
}

const DEPENDS_TEXT =
  'not allowed: the policy of the token judges the addresses of names, and the provider that looks them up does not'

/** @returns `undefined` for what is allowed, or judged at the exit */
function refusalOf(
  token: PolicedToken,
  judgement: Judgement | typeof DEPENDS,
  target: Target,
  exit: Exit,
): PolicyRefusal | undefined {
  if (judgement !== DEPENDS) return judgement.allowed ? undefined : egressRefusal(token, judgement, addressText(target))
  return exit === 'judges' ? undefined : { tokenId: token.id, reason: 'depends', subject: addressText(target) }
}

function egressRefusal({ id }: PolicedToken, { rule }: Judgement, subject: string): PolicyRefusal {
  return { tokenId: id, reason: 'egress', rule, subject }
}

function textAt(target: Target | undefined): string | undefined {
  return target && addressText(target)
}

function textOf(judgement: Judgement | typeof DEPENDS): string {
  if (judgement === DEPENDS) return DEPENDS_TEXT
  return judgement.rule === 0
    ? 'no rule of the policy of the token allows it'
    : `denied by rule ${judgement.rule} of the policy of the token`
}

function closedText(opensAt: number | undefined): string {
  const from = opensAt === undefined ? '' : `, but from ${momentText(opensAt)} on`
  return `the token may not be used at this time${from}`
}
