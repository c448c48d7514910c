import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** Longest subject that counts, in characters; a certificate with a longer one is as none. */
export const MAX_SUBJECT_CHARACTERS = 1_024

/**
 * The subject of the certificate that the peer proved to hold, as `openssl x509 -noout -subject -nameopt RFC2253` writes it:
 * `CN=ann,O=Example` (RFC 4514 section 2).
 * @returns `undefined` without a certificate, and for one that the authorities did not sign or whose time is over
 */
export function clientSubject(socket: Socket): string | undefined {
  const { authorized, getPeerX509Certificate } = socket as Partial<TLSSocket>
  if (authorized !== true || getPeerX509Certificate === undefined) return undefined
  const text = subjectText(getPeerX509Certificate.call(socket)?.subject)
  return text === undefined || text.length > MAX_SUBJECT_CHARACTERS ? undefined : text
}

/**
 * @param subject of Node: a line for each part, the first one first, with what separates parts and control characters escaped
 * @returns the last one first, also of several attributes in one part, and what is not ASCII escaped byte by byte. Attributes that have
 *   a number for a name alone have their value as text, which openssl dumps as it is encoded.
 */
export function subjectText(subject: string | undefined): string | undefined {
  if (subject === undefined || subject === '') return undefined
  const parts = subject.split('\n').map((part) => part.split(' + ').reverse().join('+'))
  return parts
    .reverse()
    .join(',')
    .replace(/[^\0-\x7f]/gu, escaped)
}

function escaped(character: string): string {
  return Array.from(Buffer.from(character), (byte) => `\\${byte.toString(16).toUpperCase()}`).join('')
}
