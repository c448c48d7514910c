import { Lru } from '../lru.js'
import type { Session } from '../mux/session.js'
import type { Clock } from '../ports.js'
import { encodeDisconnect } from '../protocol/messages.js'
import { bytesOfKey, type ChannelKey } from '../protocol/uuid.js'

/** Channels of lost links that one client remembers; beyond that it forgets the ones lost first. */
export const MAX_LOST_CHANNELS = 20_000
/** So many ends leave at once ... */
export const LOST_CHANNELS_AT_ONCE = 256
/** ... and the next ones after so many milliseconds. */
export const LOST_CHANNELS_PAUSE_MS = 100

/**
 * Base channels that died with their link. Deployed servers keep them for a while, go on sending and let the other side hang: they
 * are told of each end on the next link to the same server.
 */
export class LostChannels {
  readonly #clock: Clock
  /** Each with the server that may still have it. */
  readonly #urls = new Lru<ChannelKey, string>(MAX_LOST_CHANNELS)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#urls.size
  }

  /** A link to the server `url` is lost, with these channels. */
  remember(url: string, channels: readonly ChannelKey[]): void {
    for (const key of channels) this.#urls.set(key, url)
  }

  /** The server `url` ends what was lost by itself. */
  forget(url: string): void {
    for (const key of this.#of(url)) this.#urls.delete(key)
  }

  /** Tells the server `url` on a new link, bit by bit; what is left when that link ends waits for the next one. */
  tell(url: string, session: Session): void {
    if (!session.available) return
    const keys = this.#of(url)
    for (const key of keys.slice(0, LOST_CHANNELS_AT_ONCE)) {
      this.#urls.delete(key)
      session.control(encodeDisconnect({ channelId: bytesOfKey(key), error: 'the link was lost' }))
    }
    if (keys.length > LOST_CHANNELS_AT_ONCE) this.#clock.after(LOST_CHANNELS_PAUSE_MS, () => this.tell(url, session))
  }

  #of(url: string): readonly ChannelKey[] {
    return [...this.#urls.entries()].flatMap(([key, its]) => (its === url ? [key] : []))
  }
}
