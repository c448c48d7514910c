import { type ErrorCode, LinkSocksError } from '../../errors.js'
import { decodeHttpAnswer, type HttpAnswer } from './http-connect.js'
import type { ProxyConversation } from './proxy-exchange.js'

/** Interim (1xx) answers read before the final one. */
const MAX_INTERIM_ANSWERS = 4

/** What a proxy's failure says about the destination; any other status says nothing. */
const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  403: 'ERR_DIAL_NOT_ALLOWED',
  407: 'ERR_DIAL_NOT_ALLOWED',
  502: 'ERR_DIAL_HOST_UNREACHABLE',
  503: 'ERR_DIAL_HOST_UNREACHABLE',
  504: 'ERR_DIAL_TIMEOUT',
}

/**
 * The client's side of CONNECT (RFC 9110 section 9.3.6): sends `request` and reads the final answer.
 * @throws {LinkSocksError} the ERR_DIAL_* code that fits the status, ERR_PROXY_FAILED; what codec and stream throw
 */
export async function requestOfHttp(proxy: ProxyConversation, request: Uint8Array, signal: AbortSignal): Promise<void> {
  proxy.write(request)
  const { status, reason } = await finalAnswer(proxy, signal)
  if (status < 200 || status > 299) throw refusal({ status, reason })
}

/** Interim answers may come first (RFC 9110 section 15.2), a switch of protocols may not. */
async function finalAnswer(proxy: ProxyConversation, signal: AbortSignal): Promise<HttpAnswer> {
  for (let interim = 0; interim <= MAX_INTERIM_ANSWERS; interim += 1) {
    const answer = await proxy.read(decodeHttpAnswer, { signal })
    if (answer.status >= 200 || answer.status === 101) return answer
  }
  throw new LinkSocksError('ERR_PROXY_FAILED', 'the proxy sends only interim answers')
}

function refusal({ status, reason }: HttpAnswer): LinkSocksError {
  const said = `the proxy answered ${status}${reason === '' ? '' : ` ${reason}`}`
  return new LinkSocksError(CODE_OF_STATUS[status] ?? 'ERR_PROXY_FAILED', said)
}
