import { LinkSocksError } from '../../errors.js'
import type { WsTransport } from './ws-transport.js'

export interface InboundLimit {
  /** From now on nothing is counted. Idempotent. */
  lift(): void
}

/**
 * Ends a transport that reads more than `maxBytes` from its connection before the limit is lifted, WebSocket framing
 * included: a peer that is not authenticated yet must not make us buffer a message of the full size. The transport
 * then closes with ERR_MESSAGE_TOO_LARGE.
 */
export function limitInbound(transport: WsTransport, maxBytes: number, onExceeded?: () => void): InboundLimit {
  let total = 0
  const lift = (): void => transport.watchInbound(undefined)
  // before the frames are read, so that what exceeds the limit is never delivered
  transport.watchInbound((bytes) => {
    total += bytes
    if (total <= maxBytes) return
    lift()
    onExceeded?.()
    transport.abort(new LinkSocksError('ERR_MESSAGE_TOO_LARGE', `more than ${maxBytes} bytes before authentication`))
  })
  return { lift }
}
