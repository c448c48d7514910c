import { describe, expect, it } from 'vitest'
import { nodeCrypto } from '../../src/node/crypto.js'
import { MAX_TOKENS, newToken, type Token, TokenTable } from '../../src/relay/tokens.js'
import { ManualClock } from '../support/manual-clock.js'

describe('TokenTable at its limit', () => {
  it('refuses one token more, and takes it when another is gone', () => {
    const table = new TokenTable(nodeCrypto)
    const clock = new ManualClock()
    const token = (name: string): Token => ({ type: 'forward', ...newToken(name, 'api', clock, nodeCrypto) })
    const first = token('0')
    table.add(first)
    for (let i = 1; i < MAX_TOKENS; i += 1) table.add(token(`${i}`))
    expect(() => table.add(token('more'))).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }))
    table.remove(first)
    table.add(token('more'))
    expect(table.find('more')).toBeDefined()
  })
})
