import * as tls from 'node:tls'
import { describe, expect, it } from 'vitest'
import { trustedAuthorities } from '../../../src/node/connect/trusted-authorities.js'

describe('trustedAuthorities', () => {
  it('is Node’s own choice where Node cannot read the system’s store', () => {
    if ('getCACertificates' in tls) return
    expect(trustedAuthorities()).toBeUndefined()
  })

  it('is Node’s list and the system’s, each authority once, read once', () => {
    const asked: string[] = []
    const stores = { default: ['a', 'b'], system: ['b', 'c'] }
    const get = (store: 'default' | 'system'): readonly string[] => {
      asked.push(store)
      return stores[store]
    }
    expect(trustedAuthorities(get)).toEqual(['a', 'b', 'c'])
    expect(trustedAuthorities(get)).toEqual(['a', 'b', 'c'])
    expect(asked).toEqual(['default', 'system'])
  })
})
