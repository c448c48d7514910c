/*
 * Hides secrets in text that is about to be shown. This is the last line of defence: nothing here excuses putting a secret
 * into a log field or an error. Text of a peer goes through remoteText() besides.
 */

/** Wherever the text came from. */
const RULES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // the query of a WebSocket request carries the token's hash and the instance (A.2)
  [/(\/socket\b[^\s?#"'<>]*)\?[^\s"'<>]*/gi, '$1?[redacted]'],
  // DELETE /api/token/{token}
  [/(\/api\/token\/)[^\s?#"'<>]+/gi, '$1[redacted]'],
  [/\b((?:token|instance|api[_-]?key|password)=)[^\s&"'<>]+/gi, '$1[redacted]'],
  // user:password@ of a proxy URL
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>]*@/gi, '$1[redacted]@'],
]

/** For logs and the last words of a command: `text` with everything that looks like a secret in a URL masked; idempotent. */
export function redactSecrets(text: string): string {
  let masked = text
  for (const [pattern, replacement] of RULES) masked = masked.replace(pattern, replacement)
  return masked
}

/** Hex long enough to be the hash of a token, dashes included: an instance id is a secret too. */
const HEX_SECRET = /[\da-f][\da-f-]{30,}[\da-f]/gi

/** A shorter token stands within ordinary words, and hiding it there would give it away. */
const SHORTEST_HIDDEN_TOKEN = 8

/**
 * A server's reason for refusing the token: some servers repeat the request's URL in it, with the hash of the token.
 * @param token the one that was sent, if it is a secret
 */
export function redactReason(text: string, token: string | undefined): string {
  const shown = text.replace(/\S*\?\S*/g, '[url]').replace(HEX_SECRET, '[hidden]')
  return token !== undefined && token.length >= SHORTEST_HIDDEN_TOKEN ? shown.replaceAll(token, '[hidden]') : shown
}

/**
 * What an HTTP server answered instead of opening a WebSocket: some repeat the URL.
 * @param query of the request, with its question mark, or empty
 */
export function redactAnswer(text: string, query: string): string {
  const shown = query === '' ? text : text.replaceAll(query, '').replaceAll(query.slice(1), '')
  return shown.replace(HEX_SECRET, '...')
}
