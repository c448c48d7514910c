import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'

/** The field of a WebSocket handshake in which each end proves which TLS connection it speaks on (docs/protocol.md B.5). */
export const TLS_PROOF_FIELD = 'LinkSocks-TLS-Exporter'

/** RFC 9266 section 2: the exporter of a TLS connection, which differs for any two of them. */
const EXPORTER_LABEL = 'EXPORTER-Channel-Binding'
const EXPORTER_BYTES = 32
/** Of older versions it is not unique without extensions that Node does not tell of (RFC 9266 section 4). */
const VERSION = 'TLSv1.3'

export type TlsEnd = 'client' | 'server'

/**
 * What the `end` of the TLS connection `socket` shows to prove that it knows its exporter. The two ends show different ones, and neither tells
 * anything of the exporter to a proxy in between.
 * @returns `undefined` without TLS 1.3
 */
export function tlsProof(socket: Socket, end: TlsEnd): string | undefined {
  if (!isTls(socket) || socket.destroyed || socket.getProtocol() !== VERSION) return undefined
  const exported = socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0))
  return createHmac('sha256', exported).update(`linksocks ${end}`).digest('base64url')
}

/** Whether the peer showed what only the `end` of this very TLS connection can. */
export function isTlsProof(shown: string | string[] | undefined, socket: Socket, end: TlsEnd): boolean {
  const expected = tlsProof(socket, end)
  if (expected === undefined || typeof shown !== 'string') return false
  const [bytes, expectedBytes] = [Buffer.from(shown), Buffer.from(expected)]
  return bytes.byteLength === expectedBytes.byteLength && timingSafeEqual(bytes, expectedBytes)
}

/** Whether TLS is spoken on `socket`, and ends there. */
export function isTls(socket: Duplex): socket is TLSSocket {
  return 'encrypted' in socket && socket.encrypted === true
}
