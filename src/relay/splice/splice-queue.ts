import { MessageQueue } from '../../mux/flow/message-queue.js'

/** Added to the size of every message that waits in a splice, so that tiny ones are not free. */
const MESSAGE_OVERHEAD_BYTES = 64

/** What a waiting message counts, in bytes. */
export const costOf = (raw: Uint8Array): number => raw.byteLength + MESSAGE_OVERHEAD_BYTES

/** Messages that wait in a splice, each counted as {@link costOf} says. */
export class SpliceQueue extends MessageQueue {
  /** @param maxBytes as of a MessageQueue @param maxMessages as of a MessageQueue */
  constructor(maxBytes?: number, maxMessages?: () => number) {
    super({ maxBytes, overheadBytes: MESSAGE_OVERHEAD_BYTES, maxMessages })
  }
}
