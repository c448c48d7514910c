import type { Clock } from '../../ports.js'
import { Flow, type FlowEvents } from './flow.js'
import type { TokenTraffic } from './token-traffic.js'
import type { Direction } from './usage.js'

/** What the rates and quotas of tokens hold for: shared by all streams of a client, of which most are not limited and need nothing of their own. */
export class Shaping {
  readonly #clock: Clock
  /** The closest first. */
  readonly tokens: readonly TokenTraffic[]

  /** @param tokens whose limits hold, the closest first */
  constructor(clock: Clock, tokens: readonly TokenTraffic[]) {
    this.#clock = clock
    this.tokens = tokens
  }

  /** Whether anything may have to wait. */
  limits(direction: Direction): boolean {
    for (const token of this.tokens) if (token.limits(direction)) return true
    return false
  }

  /** Whose rate may have something wait; `undefined`: nobody's. */
  rateOf(direction: Direction): TokenTraffic | undefined {
    return this.tokens.find((token) => token.hasRate(direction))
  }

  /** Counts a datagram that a rate or a quota did not let through. */
  droppedDatagram(direction: Direction): void {
    const limiting = this.tokens.filter((token) => token.limits(direction))
    for (const [index, token] of limiting.entries()) token.droppedDatagram(index > 0)
  }

  /** Counts bytes that pass without having been asked for. */
  passed(direction: Direction, bytes: number): void {
    for (const token of this.tokens) token.passed(direction, bytes, 0)
  }

  /** One direction of one stream. */
  flow(direction: Direction, events: FlowEvents): Flow {
    return new Flow({ clock: this.#clock, tokens: this.tokens, direction, events })
  }
}
