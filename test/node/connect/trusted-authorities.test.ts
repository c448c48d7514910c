import { once } from 'node:events'
import * as tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientContext, trustedAuthorities } from '../../../src/node/connect/trusted-authorities.js'
import { selfSigned } from '../../support/certificates.js'
import { relayHost, TEST_CA } from '../../support/relay-host.js'

/** A stand-in for Node's function, with what it was asked for. */
function certificates(stores: Record<'default' | 'system', readonly string[]>) {
  const asked: string[] = []
  const get = (store: 'default' | 'system'): readonly string[] => {
    asked.push(store)
    return stores[store]
  }
  return { asked, get }
}

/** What a client that trusts `secureContext` has against a server of the test's authority. */
async function problemOf(secureContext: tls.SecureContext | undefined): Promise<string | null> {
  const host = await relayHost({ tls: true })
  onTestFinished(() => host.close())
  const socket = tls.connect({ port: host.port, host: 'localhost', secureContext, rejectUnauthorized: false })
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  // @types/node say Error; it is the code
  return socket.authorizationError as unknown as string | null
}

describe('trustedAuthorities', () => {
  it('is Node’s own choice where Node cannot read the system’s store', () => {
    if ('getCACertificates' in tls) return
    expect(trustedAuthorities()).toBeUndefined()
  })

  it('is one context for all connections where it can', () => {
    if (!('getCACertificates' in tls)) return
    expect(trustedAuthorities()).toBeDefined()
    expect(trustedAuthorities()).toBe(trustedAuthorities())
  })

  it.each([
    ['Node’s list', { default: [TEST_CA], system: [] }],
    ['the system’s store', { default: [], system: [TEST_CA] }],
    ['both', { default: [TEST_CA], system: [TEST_CA] }],
  ])('trusts an authority of %s', async (_where, stores) => {
    expect(await problemOf(trustedAuthorities(certificates(stores).get))).toBeNull()
  })

  it('trusts no other', async () => {
    const { get } = certificates({ default: [], system: [] })
    expect(await problemOf(trustedAuthorities(get))).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  })

  it('reads a list once, and another list again', () => {
    const one = certificates({ default: [TEST_CA], system: [] })
    const other = certificates({ default: [], system: [] })
    const context = trustedAuthorities(one.get)
    expect(trustedAuthorities(one.get)).toBe(context)
    expect(trustedAuthorities(other.get)).not.toBe(context)
    expect(trustedAuthorities(one.get)).toBe(context)
    expect([one.asked, other.asked]).toEqual([
      ['default', 'system'],
      ['default', 'system'],
    ])
  })
})

describe('clientContext()', () => {
  it('is what all connections share for a client with neither an authority nor a certificate of its own', () => {
    expect(clientContext({})).toBe(trustedAuthorities())
    expect(clientContext({ ca: undefined, cert: undefined })).toBe(trustedAuthorities())
  })

  it('is made once for the options of a client, and again for others', async () => {
    const own = await selfSigned('client.test')
    const [one, two] = [{ ca: TEST_CA }, { ca: TEST_CA, ...own }]
    const contexts = [clientContext(one), clientContext(two)]
    expect([clientContext(one), clientContext(two)]).toEqual(contexts)
    expect(clientContext(one)).toBe(contexts[0])
    expect(new Set([...contexts, clientContext({ ca: TEST_CA }), trustedAuthorities()]).size).toBe(4)
  })

  it('trusts the given authority, with a certificate of the client and without', async () => {
    const own = await selfSigned('client.test')
    expect(await problemOf(clientContext({ ca: TEST_CA }))).toBeNull()
    expect(await problemOf(clientContext({ ca: TEST_CA, ...own }))).toBeNull()
  })

  it('trusts no authority that nobody named, whatever the client shows', async () => {
    expect(await problemOf(clientContext(await selfSigned('client.test')))).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  })
})
