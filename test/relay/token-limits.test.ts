import { describe, expect, it } from 'vitest'
import { MAX_TOKENS, newToken, type Token, TokenTable } from '../../src/relay/tokens.js'
import { ManualClock } from '../support/manual-clock.js'

/** Enough to tell tokens apart, and cheap: there are very many. */
const crypto = { randomBytes: (length: number) => new Uint8Array(length), sha256: (data: Uint8Array) => data }

/** What tokens have in common that nobody uses. */
const common = newToken('', 'api', new ManualClock(), crypto)
const token = (name: string): Token => ({ ...common, type: 'forward', id: name, token: name })

describe('TokenTable at its limit', () => {
  it('refuses one token more, and takes it when another is gone', () => {
    const table = new TokenTable(crypto)
    const first = token('0')
    table.add(first)
    for (let i = 1; i < MAX_TOKENS; i += 1) table.add(token(`${i}`))
    expect(() => table.add(token('more'))).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }))
    table.remove(first)
    table.add(token('more'))
    expect(table.find('more')).toBeDefined()
  })

  it('counts names that are kept for tokens about to come, until they are given back', () => {
    const table = new TokenTable(crypto)
    for (let i = 2; i < MAX_TOKENS; i += 1) table.add(token(`${i}`))
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
