import type { LinkSocksError } from '../errors.js'
import { encodeConnectResponse } from '../protocol/messages.js'
import { repOf } from '../protocol/rep.js'

/** A ConnectResponse failure that carries its REP. */
export function encodeRefusal(channelId: Uint8Array, reason: LinkSocksError): Uint8Array {
  return encodeConnectResponse({
    success: false,
    channelId,
    error: reason.message || 'failed',
    trailer: { rep: repOf(reason) },
  })
}
