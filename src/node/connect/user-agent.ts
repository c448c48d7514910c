import { packageVersion } from '../system/package-version.js'

let named: string | undefined

/** What requests say of their sender (RFC 9110 section 10.1.5): some gateways refuse those that say nothing. */
function userAgent(): string {
  named ??= `linksocks/${packageVersion()}`
  return named
}

/** `headers` with a User-Agent, unless they have one. */
export function withUserAgent(headers: Readonly<Record<string, string>>): Record<string, string> {
  const given = Object.keys(headers).some((name) => name.toLowerCase() === 'user-agent')
  return given ? { ...headers } : { 'User-Agent': userAgent(), ...headers }
}
