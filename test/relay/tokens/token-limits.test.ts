import { describe, expect, it } from 'vitest'
import { MAX_TOKENS, newToken, type Token, TokenTable } from '../../../src/relay/tokens/tokens.js'
import { ManualClock } from '../../support/manual-clock.js'

/** Enough to tell tokens apart, and cheap: there are very many. */
const crypto = { randomBytes: (length: number) => new Uint8Array(length), sha256: (data: Uint8Array) => data }

/** What tokens have in common that nobody uses. */
const common = newToken('', 'api', new ManualClock(), crypto)
const token = (name: string): Token => ({ ...common, type: 'forward', id: name, token: name })
const tokens = Array.from({ length: MAX_TOKENS }, (_, each) => token(`${each}`))

describe('TokenTable at its limit', () => {
  it('refuses one token more, and takes it when another is gone', () => {
    const table = new TokenTable(crypto)
    for (const one of tokens) table.add(one)
    expect(() => table.add(token('more'))).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }))
    for (const one of tokens.slice(0, 1)) table.remove(one)
    table.add(token('more'))
    expect(table.find('more')).toBeDefined()
  })

  it('counts names that are kept for tokens about to come, until they are given back', () => {
    const table = new TokenTable(crypto)
    for (const one of tokens.slice(2)) table.add(one)
    const [one, two] = [table.reserve('one'), table.reserve('two')]
    for (const refused of [() => table.reserve('three'), () => table.add(token('three'))]) {
      expect(refused).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }))
    }
    one.release()
    one.release()
    table.add(token('one'))
    expect(() => table.add(token('two'))).toThrow('token already exists')
    two.release()
    table.add(token('two'))
    expect(table.size).toBe(MAX_TOKENS)
  })
})
