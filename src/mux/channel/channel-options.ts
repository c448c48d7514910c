import type { ChannelHost } from './channel-host.js'
import type { Observe } from './observer.js'

export interface ChannelOptions {
  readonly host: ChannelHost
  readonly id: Uint8Array
  /** Whether this end sent the Connect. */
  readonly opener: boolean
  /** Whether the Connect offered stream control, and the credit that it granted. */
  readonly offer: number | undefined
  readonly fastOpen: boolean
  readonly observe?: Observe | undefined
}
