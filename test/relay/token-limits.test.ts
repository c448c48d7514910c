import { describe, expect, it } from 'vitest'
import { nodeCrypto } from '../../src/node/crypto.js'
import { MAX_TOKENS, TokenTable } from '../../src/relay/tokens.js'

describe('TokenTable at its limit', () => {
  it('refuses one token more, and takes it when another is gone', () => {
    const table = new TokenTable(nodeCrypto)
    const token = (name: string) =>
      ({ type: 'forward', token: name, links: new Set<never>(), suspended: new Set<never>() }) as const
    const first = token('0')
    table.add(first)
    for (let i = 1; i < MAX_TOKENS; i += 1) table.add(token(`${i}`))
    expect(() => table.add(token('more'))).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }))
    table.remove(first)
    table.add(token('more'))
    expect(table.find('more')).toBeDefined()
  })
})
