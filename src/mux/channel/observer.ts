import type { LinkSocksError } from '../../errors.js'
import type { SocketAddress } from '../../ports.js'

/** What a channel has carried so far, in bytes of the stream or of its datagrams. */
export interface Traffic {
  readonly receivedBytes: number
  readonly sentBytes: number
}

/** Counts what passes. */
export class Meter implements Traffic {
  receivedBytes = 0
  sentBytes = 0

  add(bytes: number, sent: boolean): void {
    if (sent) this.sentBytes += bytes
    else this.receivedBytes += bytes
  }
}

/** What the two halves of a channel have counted anyway. */
export class ChannelTraffic implements Traffic {
  readonly #receiver: { readonly received: number }
  readonly #sender: { readonly sent: number }

  constructor({ receiver, sender }: { receiver: { readonly received: number }; sender: { readonly sent: number } }) {
    this.#receiver = receiver
    this.#sender = sender
  }

  get receivedBytes(): number {
    return this.#receiver.received
  }

  get sentBytes(): number {
    return this.#sender.sent
  }
}

/** Follows one channel. None of these may throw. */
export interface ChannelObserver {
  /** The far end answered: it stands. At most once. */
  opened(): void
  /** Where what is behind it was connected to, if that is known here. At most once, before `opened()`. */
  reached?(address: SocketAddress): void
  /** It is over; before `opened()`, `error` is why it did not come about. Exactly once. */
  closed(error?: LinkSocksError): void
}

/** What can be ended by whoever observes it. */
export interface Abortable {
  abort(reason: LinkSocksError): void
}

/** Called once for each channel, when it has been attached to its session. */
export type Observe = (traffic: Traffic, channel: Abortable) => ChannelObserver
