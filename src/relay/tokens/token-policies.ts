import { LinkSocksError } from '../../errors.js'
import type { CompiledPolicy } from '../../policy/compiled-policy.js'
import type { Clock, Timer } from '../../ports.js'
import type { LinkOrigin, RelayClient } from '../clients/relay-client.js'
import type { Streams, TrackedStream } from '../observe/streams.js'
import type { Policed, PolicyRefusal, Refusals } from '../policies/policed-token.js'
import { policedOf, type Token } from './tokens.js'

/** How often it is looked whether the hours of a token are over. */
export const HOURS_LOOK_MS = 500

export interface TokenPoliciesOptions {
  readonly clock: Clock
  readonly streams: Streams
  readonly refusals: Refusals
}

/** Why a link is not taken, as a refusal of a policy. */
export function strangerTo(token: Token, { address, subject }: LinkOrigin): PolicyRefusal | undefined {
  const elsewhere = (policedOf(token) as readonly Token[]).find(
    ({ traits }) => traits.policy?.sources?.has(address) === false,
  )
  if (elsewhere !== undefined) return { tokenId: elsewhere.id, reason: 'sources', subject: address }
  // connectors have certificates of their own: that of a provider binds them to nothing
  if (token.traits.policy?.clientSubjects?.has(subject) !== false) return undefined
  return { tokenId: token.id, reason: 'subjects', subject: subject ?? address }
}

/** Brings what runs to where a policy wants it: when it has changed, and when the hours of a token are over. */
export class TokenPolicies {
  readonly #options: TokenPoliciesOptions
  /** Those that have hours, and whether they were open at the last look. */
  readonly #timed = new Map<Token, boolean>()
  /** By what the streams of a token were judged last. */
  readonly #judged = new WeakMap<Token, Pick<CompiledPolicy, 'egress' | 'hours'>>()
  #timer: Timer | undefined
  #closed = false

  constructor(options: TokenPoliciesOptions) {
    this.#options = options
  }

  /** A token is there, or its policy is another one. */
  changed(token: Token): void {
    this.#watch(token)
    token.use.traffic.limit(token.traits.policy?.policy ?? {})
    for (const client of providersOf(token)) client.policies?.changed(token)
    this.#endStrangers(token)
    const { egress, hours } = token.traits.policy ?? {}
    const known = this.#judged.get(token)
    this.#judged.set(token, { egress, hours })
    // another label ends nothing
    if (known?.egress !== egress || known?.hours !== hours) this.#judgeStreams([token])
  }

  /** Nothing is left of the quota of a token: what runs with it ends, once what is being passed on has been. */
  usedUp(token: Token): void {
    this.#options.clock.after(0, () => {
      const { traffic } = token.use
      const why = traffic.refusal()
      if (why === undefined || this.#closed) return
      for (const stream of this.#streamsOf([token])) {
        this.#options.refusals.refused({ tokenId: token.id, reason: 'quota', subject: stream.info.target })
        stream.abort(new LinkSocksError('ERR_DIAL_NOT_ALLOWED', why))
      }
      traffic.refuseWaiters()
    })
  }

  /** A token is gone. */
  forget(token: Token): void {
    this.#timed.delete(token)
    for (const client of providersOf(token)) client.policies?.forget(token.id)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#timed.clear()
  }

  #watch(token: Token): void {
    const { clock } = this.#options
    const { policy } = token.traits
    if (policy?.hours === undefined || this.#closed) return void this.#timed.delete(token)
    this.#timed.set(token, isOpen(policy, clock.wallTime()))
    this.#timer ??= clock.after(HOURS_LOOK_MS, () => this.#look())
  }

  #look(): void {
    const { clock } = this.#options
    const time = clock.wallTime()
    const over: Token[] = []
    for (const [token, wasOpen] of this.#timed) {
      const open = isOpen(token.traits.policy, time)
      if (wasOpen && !open) over.push(token)
      this.#timed.set(token, open)
    }
    if (over.length > 0) this.#judgeStreams(over)
    this.#timer = this.#timed.size === 0 ? undefined : clock.after(HOURS_LOOK_MS, () => this.#look())
  }

  /** Links are judged by where they come from when they authenticate: here, those that are there already. */
  #endStrangers(token: Token): void {
    const concerned = token.type === 'reverse' ? [token, ...token.connectors] : [token]
    for (const one of concerned) {
      for (const client of [...one.clients, ...one.suspended]) this.#endStranger(one, client)
    }
  }

  #endStranger(token: Token, { session, origin }: RelayClient): void {
    const refusal = strangerTo(token, origin)
    if (refusal === undefined) return
    this.#options.refusals.refused(refusal)
    const what = refusal.reason === 'subjects' ? 'with its certificate' : 'from its address'
    void session.close(new LinkSocksError('ERR_SHUTTING_DOWN', `the token may not be used ${what} any more`))
  }

  #judgeStreams(tokens: readonly Token[]): void {
    for (const stream of this.#streamsOf(tokens)) {
      const problem = this.#problemOf(stream)
      if (problem !== undefined) stream.abort(new LinkSocksError('ERR_DIAL_NOT_ALLOWED', problem))
    }
  }

  #streamsOf(tokens: readonly Token[]): readonly TrackedStream[] {
    const ids = tokens.flatMap((token) => [token, ...(token.type === 'reverse' ? token.connectors : [])])
    return this.#options.streams.of(new Set(ids.map(({ id }) => id)))
  }

  #problemOf(stream: TrackedStream): string | undefined {
    const time = this.#options.clock.wallTime()
    const closed = stream.tokens.find(({ traits }) => !isOpen(traits.policy, time))
    if (closed !== undefined) {
      this.#options.refusals.refused({ tokenId: closed.id, reason: 'hours', subject: stream.info.target })
      return 'the hours of the token are over'
    }
    return this.#deniedBy(stream, stream.tokens)
  }

  /** Of UDP each datagram is judged. A name whose addresses nobody here knows can't be, and is asked for again. */
  #deniedBy({ protocol, target, asked, address, judged, info }: TrackedStream, tokens: Policed): string | undefined {
    if (target === undefined || asked === undefined) return undefined
    for (const { id, traits } of tokens) {
      const { egress } = traits.policy ?? {}
      if (egress === undefined) continue
      const judgement =
        address === undefined ? egress.judgeAsked(target, protocol) : egress.judge(asked, address, protocol)
      if (typeof judgement === 'string' ? judged : judgement.allowed) continue
      const rule = typeof judgement === 'string' ? undefined : judgement.rule
      const reason = rule === undefined ? 'depends' : 'egress'
      this.#options.refusals.refused({ tokenId: id, reason, rule, subject: info.target })
      return 'the policy of the token has changed'
    }
    return undefined
  }
}

/** Providers that may have been told of the policy of a token. */
function providersOf(token: Token): readonly RelayClient[] {
  if (token.type === 'forward') return []
  const { clients, suspended } = token.type === 'reverse' ? token : token.reverse
  return [...clients, ...suspended]
}

function isOpen(policy: CompiledPolicy | undefined, time: number): boolean {
  return policy?.hours?.isOpen(time) !== false
}
