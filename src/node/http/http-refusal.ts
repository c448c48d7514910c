import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { failureBody, type Refusal } from '../../api/request/answers.js'

/*
 * Writes refusals that never reach the API's handler: what no Request can hold, a refused upgrade, a broken request. The
 * body is the API's; the header fields are fewer.
 */

interface Rendered {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

function render({ error, headers }: Refusal): Rendered {
  const body = failureBody(error)
  return {
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(body)),
      'Cache-Control': 'no-store',
      ...headers,
    },
    body,
  }
}

/** As the answer of a handler. */
export function responseOf(refusal: Refusal): Response {
  const { headers, body } = render(refusal)
  return new Response(body, { status: refusal.status, headers })
}

/** Writes status, fields and body; leaves the response open. */
export function writeRefusal(refusal: Refusal, out: ServerResponse): void {
  const { headers, body } = render(refusal)
  out.writeHead(refusal.status, headers)
  if (out.req.method !== 'HEAD') out.write(body)
}

/** Answers on a socket that has no response object (a broken request, a refused upgrade) and ends it. */
export function refuseSocket(socket: Duplex, refusal: Refusal): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { status } = refusal
  const { headers, body } = render(refusal)
  const fields = Object.entries({ Connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields.join('')}\r\n${body}`)
}
