import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Refusal } from '../../api/request/answers.js'
import { TLS_HANDSHAKE } from '../tls/client-hello.js'
import { isTls } from '../tls/shared-tls.js'
import { refuseSocket } from './http-refusal.js'

/** What the HTTP parser says of a request that it refused. */
export type BrokenRequest = NodeJS.ErrnoException & { readonly rawPacket?: Uint8Array }

function isTlsHello({ rawPacket }: BrokenRequest): boolean {
  return rawPacket?.[0] === TLS_HANDSHAKE
}

/** For the log. */
export function brokenReason(error: BrokenRequest, socket: Duplex): string {
  // OpenSSL keeps that error for the next read, at which Node ends the connection, whatever the mode
  if (isTls(socket) && String(socket.authorizationError) === 'CERT_SIGNATURE_FAILURE')
    return 'TLS: the certificate of the client is signed by another authority with the name of a known one'
  if (isTlsHello(error)) return 'TLS on a port that has none: use ws:// or http://'
  return error.code ?? error.message
}

/** Answers what the HTTP parser refused, unless an answer is already under way. */
export function refuseBroken(error: BrokenRequest, socket: Duplex): void {
  const answering = (socket as { _httpMessage?: ServerResponse | null })._httpMessage
  if (answering?.headersSent || error.code === 'ECONNRESET' || isTlsHello(error)) {
    socket.destroy()
    return
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') return refuseSocket(socket, new Refusal(431, 'request header too large'))
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return refuseSocket(socket, new Refusal(408, 'request timed out'))
  refuseSocket(socket, new Refusal(400, 'malformed request'))
}
