import type { LinkSocksError } from '../errors.js'
import { encodeConnectResponse } from '../protocol/messages.js'
import { dialErrorOf, repOf, repOfText, textOf } from '../protocol/rep.js'

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
export function failureOf(text = '', rep = repOfText(text)): LinkSocksError {
  return dialErrorOf(rep, text)
}
