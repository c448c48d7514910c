import { LinkSocksError } from '../../errors.js'
import type { AccessSource } from '../../exit/dial/access-rules.js'
import { JudgedSocket } from '../../exit/judging-dialer.js'
import type { ByteStream, DatagramSocket, Dialer, DialOptions, Target, TargetJudge } from '../../ports.js'
import { judgingProviders, type Providers } from '../clients/providers.js'
import type { Streams } from '../observe/streams.js'
import { isLimited, type Policed, type PolicedToken } from '../policies/policed-token.js'
import type { Asked, Exit, PolicyGate } from '../policies/policy-gate.js'
import type { ReverseDialOptions } from './reverse-dialer.js'

export interface PolicedDialerOptions {
  readonly token: PolicedToken
  readonly providers: Providers
  /** Rules of the port: where there are any, names are looked up before a provider dials. */
  readonly rules: AccessSource
  readonly gate: PolicyGate
  readonly streams: Streams
  /** Dials through the providers of the token, by its rules. */
  readonly dialer: Dialer
}

/** The way out of a reverse token's SOCKS port, as far as the policy of the token goes. */
export class PolicedDialer implements Dialer {
  readonly #options: PolicedDialerOptions
  readonly #tokens: Policed
  readonly #judge: TargetJudge

  constructor(options: PolicedDialerOptions) {
    this.#options = options
    this.#tokens = [options.token]
    this.#judge = {
      asked: () => undefined,
      address: (asked, address, protocol) => options.gate.problemAt(this.#tokens, protocol, asked, address),
      refused: (asked, address, protocol) => options.gate.refusedAt(this.#tokens, protocol, asked, address),
    }
  }

  /** @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED, and what the dialer throws */
  async dial(target: Target, options?: DialOptions): Promise<ByteStream> {
    const { only, looksUp } = this.#exit()
    const exit = looksUp || only !== undefined ? 'judges' : 'blind'
    const limited = isLimited(this.#tokens)
    if (limited) this.#admit({ protocol: 'tcp', target }, exit)
    // a policy may come, or the time be over, while a provider is waited for
    const again = (to = target): void => {
      const name = to.host === target.host ? undefined : target.host
      this.#options.gate.admitAgain(this.#tokens, { protocol: 'tcp', target: to, name }, exit)
    }
    const more = { only, judge: looksUp && limited ? this.#judge : undefined, asked: target.host }
    return this.#counted({ more, again }, (all) => this.#options.dialer.dial(target, all), options)
  }

  async associate(options?: DialOptions): Promise<DatagramSocket> {
    const { only, looksUp } = this.#exit()
    const exit = looksUp || only !== undefined ? 'judges' : 'blind'
    if (isLimited(this.#tokens)) this.#admit({ protocol: 'udp' }, exit)
    const again = (): void => this.#options.gate.admitAgain(this.#tokens, { protocol: 'udp' }, exit)
    const socket = await this.#counted(
      { more: { only, judge: looksUp ? this.#judge : undefined }, again },
      (all) => this.#options.dialer.associate(all),
      options,
    )
    // a policy may come later
    const allows = (target: Target): boolean =>
      !isLimited(this.#tokens) || this.#options.gate.allowsDatagram(this.#tokens, target, exit)
    return new JudgedSocket(socket, allows)
  }

  /** Who is to serve a request, and whether its name is looked up before. */
  #exit(): { readonly only: ReverseDialOptions['only']; readonly looksUp: boolean } {
    const { rules, providers } = this.#options
    const looksUp = rules() !== undefined
    return { only: judgingProviders(this.#tokens, looksUp ? undefined : providers), looksUp }
  }

  #admit(asked: Asked, exit: Exit): void {
    const { gate, streams } = this.#options
    try {
      gate.admit(this.#tokens, asked, exit)
    } catch (thrown) {
      streams.refused('reverse', LinkSocksError.from(thrown, 'ERR_DIAL_NOT_ALLOWED'))
      throw thrown
    }
  }

  /** Until a provider is asked, nobody else knows of the request. */
  async #counted<T>(
    { more, again }: { readonly more: ReverseDialOptions; readonly again: (target?: Target) => void },
    dial: (options: ReverseDialOptions) => Promise<T>,
    options: DialOptions = {},
  ): Promise<T> {
    const { use } = this.#options.token
    let waits = true
    const over = (): void => {
      if (waits) use.waiting -= 1
      waits = false
    }
    const begun = (target?: Target): void => {
      again(target)
      over()
    }
    use.waiting += 1
    try {
      return await dial({ ...options, ...more, begun })
    } finally {
      over()
    }
  }
}
