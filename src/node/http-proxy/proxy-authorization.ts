import { Buffer } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { HttpClient } from '../../inbound/serve-http.js'
import type { Credentials } from '../../ports.js'
import { credentialsMatch } from '../../socks/credentials.js'
import { valuesOf } from './head-rules.js'
import { AUTHENTICATE, type ProxyAnswer, TOO_MANY_ATTEMPTS } from './proxy-answers.js'

const BASIC = /^basic +([\w+/=-]+) *$/i

/** Whether the fields Proxy-Authorization hold what a client must present (RFC 7617, in UTF-8); several of them hold nothing. */
function isAuthorized(expected: Credentials, fields: readonly string[]): boolean {
  const [, encoded = ''] = BASIC.exec(fields.length === 1 ? (fields[0] ?? '') : '') ?? []
  const bytes = Buffer.from(encoded, 'base64')
  const colon = bytes.indexOf(0x3a)
  const [username, password] = [bytes.subarray(0, Math.max(0, colon)), bytes.subarray(colon + 1)]
  return credentialsMatch(expected, { username, password }) && colon >= 0
}

/** Whether the client of a request may use the proxy, or what it is answered; for a wrong password the answer is held back. */
export async function admit(client: HttpClient, { rawHeaders }: IncomingMessage): Promise<'admitted' | ProxyAnswer> {
  const { credentials, unauthorized, clock, requested } = client
  const given = valuesOf(rawHeaders, 'proxy-authorization')
  if (credentials === undefined || isAuthorized(credentials, given)) {
    requested()
    return 'admitted'
  }
  // clients ask without a password first, to hear that there is one
  if (given.length === 0) return { ...AUTHENTICATE, usual: true }
  const { delayMs, refused } = unauthorized()
  if (delayMs > 0) await new Promise<void>((resolve) => void clock.after(delayMs, resolve))
  return { ...(refused ? TOO_MANY_ATTEMPTS : AUTHENTICATE), code: 'ERR_SOCKS_AUTH' }
}
