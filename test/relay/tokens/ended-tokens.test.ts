import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.js'
import { EndedTokens, MAX_ENDED_TOKENS } from '../../../src/relay/tokens/ended-tokens.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const written: ReadonlyMap<string, number>[] = []
  const waiting: (() => void)[] = []
  const end = (tokens: ReadonlyMap<string, number>): Promise<void> => {
    written.push(new Map(tokens))
    return new Promise((resolve) => waiting.push(resolve))
  }
  const ended = new EndedTokens({ clock: new ManualClock(), log: silentLogger, handover: { end } })
  return { ended, written, waiting }
}

describe('EndedTokens', () => {
  it('writes together what comes while it writes, and is idle then', async () => {
    const { ended, written, waiting } = setUp()
    await ended.idle()
    for (const id of ['one', 'two', 'one']) ended.add(id)
    const idle = ended.idle()
    waiting.shift()?.()
    while (waiting.length === 0) await Promise.resolve()
    waiting.shift()?.()
    await idle
    expect(written.map((tokens) => [...tokens.keys()])).toEqual([['one'], ['two', 'one']])
  })

  it('forgets the first for one more than it keeps', async () => {
    const { ended, written, waiting } = setUp()
    for (let each = 0; each <= MAX_ENDED_TOKENS; each += 1) ended.add(`${each}`)
    const idle = ended.idle()
    waiting.shift()?.()
    while (waiting.length === 0) await Promise.resolve()
    waiting.shift()?.()
    await idle
    expect([written.at(-1)?.size, written.at(-1)?.has('0'), written.at(-1)?.has(`${MAX_ENDED_TOKENS}`)]).toEqual([
      MAX_ENDED_TOKENS,
      false,
      true,
    ])
  })
})
