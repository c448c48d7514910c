import { describe, expect, it } from 'vitest'
import { GrowthBudget, MAX_SESSION_GROWTH_BYTES } from '../../../src/mux/flow/growth-budget.js'
import { HeldTotals, RECEIVED_LIMITS } from '../../../src/mux/flow/held-totals.js'

describe('GrowthBudget', () => {
  it('gives one session MAX_SESSION_GROWTH_BYTES and no byte more', () => {
    const { growth } = new HeldTotals(RECEIVED_LIMITS)
    const session = {}
    expect([growth.take(session, MAX_SESSION_GROWTH_BYTES), growth.take(session, 1), growth.take({}, 1)]).toEqual([
      true,
      false,
      true,
    ])
    growth.giveBack(session, 1)
    expect([growth.take(session, 1), growth.take(session, 1)]).toEqual([true, false])
  })

  it('gives all sessions together no more than its maximum', () => {
    const budget = new GrowthBudget(1_000)
    const [one, other] = [{}, {}]
    expect([budget.take(one, 600), budget.take(other, 401), budget.take(other, 400), budget.take(one, 1)]).toEqual([
      true,
      false,
      true,
      false,
    ])
    budget.giveBack(one, 600)
    expect([budget.take(other, 601), budget.take(other, 600)]).toEqual([false, true])
  })

  it('takes nothing when it refuses', () => {
    const budget = new GrowthBudget(10)
    const session = {}
    expect([budget.take(session, 11), budget.take(session, 10)]).toEqual([false, true])
  })
})
