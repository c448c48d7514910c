/** One message: its start line and fields, each ended as it must be, then the body. */
export function message(lines: readonly string[], body = ''): string {
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** What the proxy says of its own connection to an origin. */
export const TO_ORIGIN = 'Connection: keep-alive'
/** What it says of the client's connection, when that stays. */
export const STAYS: readonly string[] = ['Connection: keep-alive', 'Keep-Alive: timeout=60']
/** When it ends with this answer. */
export const CLOSES = 'Connection: close'

const CHUNKED_HEAD = /^[\s\S]*?\r\ntransfer-encoding: chunked\r\n(?:[^\r\n]+\r\n)*\r\n/i

/** The same messages with each chunked body in one chunk: where chunks are cut is no part of what is said. */
export function rechunked(text: string): string {
  const head = CHUNKED_HEAD.exec(text)?.[0]
  if (head === undefined) return text
  let at = head.length
  let body = ''
  for (;;) {
    const [line = '', digits = ''] = /^([\da-f]+)\r\n/i.exec(text.slice(at)) ?? []
    const size = Number.parseInt(digits, 16)
    if (line === '' || size === 0) break
    body += text.slice(at + line.length, at + line.length + size)
    at += line.length + size + 2
  }
  const chunk = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`
  const trailer = /^0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(at))?.[0] ?? ''
  return `${head}${chunk}${trailer}${trailer === '' ? text.slice(at) : rechunked(text.slice(at + trailer.length))}`
}
