import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** Header fields and body of a failure that never reaches the handler; the shape is the HTTP API's. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export function refusal(status: number, error: string, headers: Readonly<Record<string, string>> = {}): Refusal {
  const body = `${JSON.stringify({ success: false, error })}\n`
  return {
    status,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(body)),
      'Cache-Control': 'no-store',
      ...headers,
    },
    body,
  }
}

/** Answers on a socket that has no response object (a broken request, a refused upgrade) and ends it. */
export function refuseSocket(socket: Duplex, { status, headers, body }: Refusal): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const fields = Object.entries({ ...headers, Connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields.join('')}\r\n${body}`)
}
