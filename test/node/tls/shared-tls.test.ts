import type { Socket } from 'node:net'
import type { SecureVersion } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { isTlsProof, type TlsEnd, tlsProof } from '../../../src/node/tls/shared-tls.js'
import { atEnd } from '../../support/at-end.js'
import { socketPair, type TlsPair, tlsPair } from '../net/sockets.js'

const ENDS: readonly TlsEnd[] = ['client', 'server']

async function pair(version?: SecureVersion): Promise<TlsPair> {
  const made = await tlsPair(version)
  for (const socket of [made.client, made.server]) {
    socket.on('error', () => {})
    atEnd(() => void socket.destroy())
  }
  return made
}

describe('tlsProof', () => {
  it('is the same at both ends of one connection, and one for each end', async () => {
    const { client, server } = await pair()
    for (const end of ENDS) {
      expect(tlsProof(client, end)).toMatch(/^[\w-]{43}$/)
      expect(tlsProof(client, end)).toBe(tlsProof(server, end))
      expect(isTlsProof(tlsProof(client, end), server, end)).toBe(true)
      expect(isTlsProof(tlsProof(server, end), client, end)).toBe(true)
    }
    expect(tlsProof(client, 'client')).not.toBe(tlsProof(client, 'server'))
  })

  it('is another one with each connection', async () => {
    const [first, second] = [await pair(), await pair()]
    expect(tlsProof(first.client, 'client')).not.toBe(tlsProof(second.client, 'client'))
  })

  it('is none with TLS 1.2, without TLS, and of a connection that is gone', async () => {
    const { client, server } = await pair('TLSv1.2')
    const [near, far] = await socketPair()
    for (const end of ENDS)
      for (const socket of [client, server, near, far]) expect(tlsProof(socket, end)).toBeUndefined()
    near.destroy()
    far.destroy()
    const gone = await pair()
    gone.client.destroy()
    expect(tlsProof(gone.client, 'client')).toBeUndefined()
    expect(isTlsProof(tlsProof(gone.server, 'client'), gone.client, 'client')).toBe(false)
  })

  it('does not change while bytes go to and fro', async () => {
    const { client, server } = await pair()
    const before = tlsProof(client, 'client')
    client.write('x'.repeat(100_000))
    await new Promise((resolve) => server.once('readable', resolve))
    expect([tlsProof(client, 'client'), tlsProof(server, 'client')]).toEqual([before, before])
  })
})

describe('isTlsProof', () => {
  it('does not hold for what a proxy in between passes on, which ends TLS itself', async () => {
    const [outer, inner] = [await pair(), await pair()]
    for (const end of ENDS) {
      expect(isTlsProof(tlsProof(outer.client, end), inner.server, end)).toBe(false)
      expect(isTlsProof(tlsProof(inner.server, end), outer.client, end)).toBe(false)
    }
  })

  it("does not hold for the other end's, which a peer that knows nothing could send back", async () => {
    const { client, server } = await pair()
    expect(isTlsProof(tlsProof(client, 'client'), client, 'server')).toBe(false)
    expect(isTlsProof(tlsProof(server, 'server'), server, 'client')).toBe(false)
  })

  it('does not hold for what only resembles one', async () => {
    const { client, server } = await pair()
    const proof = tlsProof(client, 'client') ?? ''
    const shown: (string | string[] | undefined)[] = [
      ...[undefined, '', [proof], [proof, proof], `${proof}=`, ` ${proof}`, proof.slice(1), proof.toUpperCase()],
      // the same but for what Latin-1 leaves out
      proof.slice(0, -1) + String.fromCharCode(0x100 + proof.charCodeAt(42)),
      Buffer.from(proof, 'base64url').toString('base64').slice(0, -1),
      'A'.repeat(43),
    ]
    const held = shown.filter((text) => text !== proof && isTlsProof(text, server, 'client'))
    expect(held).toEqual([])
    expect(isTlsProof(proof, server, 'client')).toBe(true)
  })

  it('never holds with TLS 1.2, whatever is shown', async () => {
    const { server } = await pair('TLSv1.2')
    const other = await pair()
    for (const shown of [undefined, '', 'undefined', tlsProof(other.client, 'client')]) {
      expect(isTlsProof(shown, server as Socket, 'client')).toBe(false)
    }
  })
})
