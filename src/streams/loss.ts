import { LinkSocksError } from '../errors.js'
import type { TransportClose } from '../ports.js'

/** Why a link was lost, of a transport that closed. */
export function lossOf(info: TransportClose): LinkSocksError {
  if (info.error !== undefined) return info.error
  const why = info.code === 1006 ? 'without a close frame' : `with code ${info.code}`
  return new LinkSocksError('ERR_LINK_LOST', `the link was closed ${why}`)
}
