import type { LinkSocksError } from '../errors.js'
import { encodeConnectResponse } from './encode.js'
import { dialErrorOf, repOf, repOfText, textOf } from './rep.js'

/** A ConnectResponse failure that carries its REP. */
export function encodeRefusal(channelId: Uint8Array, reason: LinkSocksError): Uint8Array {
  return encodeConnectResponse({
    success: false,
    channelId,
    error: textOf(reason),
    trailer: { rep: repOf(reason) },
  })
}

/** What a text, and a REP if there is one, say about a destination that could not be opened. */
export function errorOfRefusal(text = '', rep = repOfText(text)): LinkSocksError {
  return dialErrorOf(rep, text)
}

/** Whether the text of a Disconnect means an orderly end (docs/protocol.md A.4). */
export function isOrderlyEnd(text: string | undefined): boolean {
  return text === undefined || text === '' || text === 'EOF'
}
