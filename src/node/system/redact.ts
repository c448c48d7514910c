/**
 * The last line of defence of a log: what looks like a secret in a URL or request path is masked, wherever the
 * text came from. Nothing here excuses putting a secret into a log field.
 */
const RULES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // the query of a WebSocket request carries the token's hash and the instance (A.2)
  [/(\/socket\b[^\s?#"'<>]*)\?[^\s"'<>]*/gi, '$1?[redacted]'],
  // DELETE /api/token/{token}
  [/(\/api\/token\/)[^\s?#"'<>]+/gi, '$1[redacted]'],
  [/\b((?:token|instance|api[_-]?key|password)=)[^\s&"'<>]+/gi, '$1[redacted]'],
  // user:password@ of a proxy URL
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>]*@/gi, '$1[redacted]@'],
]

/** `text` with everything that looks like a secret in a URL masked; idempotent. */
export function redactSecrets(text: string): string {
  let masked = text
  for (const [pattern, replacement] of RULES) masked = masked.replace(pattern, replacement)
  return masked
}
