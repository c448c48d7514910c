import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { clientSubject, MAX_SUBJECT_CHARACTERS, subjectText } from '../../../src/node/tls/client-subject.js'
import { Authority, type Subject } from '../../support/certificates.js'
import { socketPair } from '../net/sockets.js'

const authority = Authority.create()

async function certificateOf(subject: Subject): Promise<X509Certificate> {
  return new X509Certificate((await (await authority).issue({ subject })).cert)
}

/** A socket as Node tells of it after a handshake. */
function socketWith(certificate: X509Certificate | undefined, authorized = true): Socket {
  return { authorized, getPeerX509Certificate: () => certificate } as unknown as Socket
}

/** Each with what `openssl x509 -noout -subject -nameopt RFC2253` (3.0) writes. */
const SUBJECTS: readonly (readonly [name: string, subject: Subject, text: string])[] = [
  ['one attribute', 'CN=ann', 'CN=ann'],
  ['several, the last one first', [{ C: ['DE'] }, { O: ['Example'] }, { CN: ['ann'] }], 'CN=ann,O=Example,C=DE'],
  ['the same several times', [{ OU: ['b'] }, { OU: ['a'] }], 'OU=a,OU=b'],
  ['several attributes in one part', [{ O: ['x'] }, { OU: ['Sales'], CN: ['J. Smith'] }], 'CN=J. Smith+OU=Sales,O=x'],
  ['a comma', [{ O: ['Example, Inc.'] }], 'O=Example\\, Inc.'],
  ['what looks like another attribute', [{ CN: ['ann, O=Example'] }], 'CN=ann\\, O=Example'],
  ['what looks like another attribute of the part', [{ CN: ['ann + O=Example'] }], 'CN=ann \\+ O=Example'],
  ['a line feed', [{ CN: ['ann\nO=Example'] }], 'CN=ann\\0AO=Example'],
  ['other control characters', [{ CN: ['\x00\x07\x7f'] }], 'CN=\\00\\07\\7F'],
  ['all that is escaped', [{ CN: ['a+b" <c>;d=e\\'] }], 'CN=a\\+b\\" \\<c\\>\\;d=e\\\\'],
  ['blanks at the ends', [{ CN: [' #a '] }, { CN: ['  '] }], 'CN=\\ \\ ,CN=\\ #a\\ '],
  ['what is not ASCII', [{ O: ['Exämple'] }, { CN: ['日本'] }], 'CN=\\E6\\97\\A5\\E6\\9C\\AC,O=Ex\\C3\\A4mple'],
  ['what is beyond 16 bits', [{ CN: ['😀\u0085'] }], 'CN=\\F0\\9F\\98\\80\\C2\\85'],
  ['a mail address', [{ CN: ['ann'] }, { E: ['ann@a.test'] }], 'emailAddress=ann@a.test,CN=ann'],
]

describe('clientSubject', () => {
  it.each(SUBJECTS)('writes %s as openssl does', async (_name, subject, text) => {
    expect(clientSubject(socketWith(await certificateOf(subject)))).toBe(text)
  })

  it('writes the value of an attribute without a name as text', async () => {
    expect(clientSubject(socketWith(await certificateOf([{ CN: ['ann'] }, { '1.2.3.4': ['abc'] }])))).toBe(
      '1.2.3.4=abc,CN=ann',
    )
  })

  it('gives no two subjects that differ the same text', async () => {
    const all: Subject[] = [
      [{ CN: ['a'] }, { O: ['b'] }],
      [{ CN: ['a'], O: ['b'] }],
      [{ CN: ['a,O=b'] }],
      [{ CN: ['a+O=b'] }],
    ]
    const texts = await Promise.all(all.map(async (subject) => clientSubject(socketWith(await certificateOf(subject)))))
    expect(new Set(texts).size).toBe(all.length)
  })

  it.each([
    [MAX_SUBJECT_CHARACTERS, 'x'.repeat(MAX_SUBJECT_CHARACTERS - 3)],
    [MAX_SUBJECT_CHARACTERS + 1, 'x'.repeat(MAX_SUBJECT_CHARACTERS - 2)],
    [1_032, `${'é'.repeat(171)}abc`],
  ])('of %d characters counts up to the limit', async (length, name) => {
    const text = clientSubject(socketWith(await certificateOf([{ CN: [name] }])))
    expect(text?.length).toBe(length > MAX_SUBJECT_CHARACTERS ? undefined : length)
  })

  it('is none without a certificate, for one that is not authorized, and for one without a subject', async () => {
    expect(clientSubject(socketWith(undefined))).toBeUndefined()
    expect(clientSubject(socketWith(await certificateOf('CN=ann'), false))).toBeUndefined()
    expect(clientSubject(socketWith(await certificateOf([])))).toBeUndefined()
    expect(subjectText('')).toBeUndefined()
  })

  it('is none on a connection without TLS', async () => {
    const [own, peer] = await socketPair()
    expect(clientSubject(own)).toBeUndefined()
    own.destroy()
    peer.destroy()
  })
})
