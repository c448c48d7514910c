import { LinkSocksError } from '../../errors.js'
import type { Credentials, Target } from '../../ports.js'
import { dialErrorOf, Rep } from '../../protocol/rep.js'
import {
  decodeMethodChoice,
  decodeReply,
  decodeUserPasswordStatus,
  encodeMethods,
  encodeUserPassword,
  Method,
} from '../../socks/codec.js'
import type { ProxyConversation } from './proxy-exchange.js'

/**
 * The client's side of a SOCKS5 handshake: method selection (RFC 1928 section 3), user and password (RFC 1929), one
 * request.
 * @returns BND.ADDR and BND.PORT
 * @throws {LinkSocksError} the ERR_DIAL_* code of the proxy's REP; ERR_PROXY_FAILED (no method in common, user or password
 *   refused); what codec and stream throw
 */
export async function requestOfSocks(
  proxy: ProxyConversation,
  request: Uint8Array,
  credentials: Credentials | undefined,
  signal: AbortSignal,
): Promise<Target> {
  const wanted = credentials === undefined ? [Method.None] : [Method.None, Method.UserPassword]
  proxy.write(encodeMethods(wanted))
  const method = await proxy.read(decodeMethodChoice, { signal })
  if (method === Method.UserPassword && credentials !== undefined) {
    proxy.write(encodeUserPassword(credentials))
    const status = await proxy.read(decodeUserPasswordStatus, { signal })
    if (status !== 0) throw new LinkSocksError('ERR_PROXY_FAILED', 'the proxy refused user name or password')
  } else if (method !== Method.None) {
    throw new LinkSocksError('ERR_PROXY_FAILED', methodProblem(method, credentials))
  }
  proxy.write(request)
  const { rep, bound } = await proxy.read(decodeReply, { signal })
  if (rep !== Rep.Succeeded) throw dialErrorOf(rep, '')
  return bound
}

function methodProblem(method: number, credentials: Credentials | undefined): string {
  if (method !== Method.NoneAcceptable) return `the proxy chose authentication method ${method}, which was not offered`
  return credentials === undefined
    ? 'the proxy wants user name and password'
    : 'the proxy offers no way to authenticate'
}
