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
    }
  }

  /** @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED, and what the dialer throws */
  async dial(target: Target, options?: DialOptions): Promise<ByteStream> {
    // a policy may come later, and is about the name
    const asked = target.host
    if (!isLimited(this.#tokens))
      return this.#counted({ asked }, (more) => this.#options.dialer.dial(target, more), options)
    const { only, looksUp } = this.#exit()
    this.#admit({ protocol: 'tcp', target }, looksUp || only !== undefined ? 'judges' : 'blind')
    const judge = looksUp ? this.#judge : undefined
    return this.#counted({ only, judge, asked }, (more) => this.#options.dialer.dial(target, more), options)
  }

  async associate(options?: DialOptions): Promise<DatagramSocket> {
    const { only } = this.#exit()
    const exit = only === undefined ? 'blind' : 'judges'
    if (isLimited(this.#tokens)) this.#admit({ protocol: 'udp' }, exit)
    const socket = await this.#counted({ only }, (more) => this.#options.dialer.associate(more), options)
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
    more: ReverseDialOptions,
    dial: (options: ReverseDialOptions) => Promise<T>,
    options: DialOptions = {},
  ): Promise<T> {
    const { use } = this.#options.token
    let waits = true
    const begun = (): void => {
      if (waits) use.waiting -= 1
      waits = false
    }
    use.waiting += 1
    try {
      return await dial({ ...options, ...more, begun })
    } finally {
      begun()
    }
  }
}
