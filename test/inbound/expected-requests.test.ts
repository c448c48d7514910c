import { describe, expect, it } from 'vitest'
import { EXPECTED_REQUEST_MS, ExpectedRequests } from '../../src/inbound/expected-requests.js'
import { ManualClock } from '../support/manual-clock.js'

describe('ExpectedRequests', () => {
  it('has a connection until it has asked or is gone', () => {
    const expected = new ExpectedRequests(new ManualClock())
    const [one, other] = [{}, {}]
    expect(expected.some).toBe(false)
    expected.add(one)
    expected.add(other)
    expected.delete(one)
    expect(expected.some).toBe(true)
    expected.delete(other)
    expected.delete(other)
    expect(expected.some).toBe(false)
  })

  it('gives up one that has asked for nothing within a second', () => {
    const clock = new ManualClock()
    const expected = new ExpectedRequests(clock)
    expected.add({})
    clock.advance(EXPECTED_REQUEST_MS - 1)
    expect(expected.some).toBe(true)
    clock.advance(1)
    expect(expected.some).toBe(false)
    expected.add({})
    expect(expected.some).toBe(true)
  })

  it('counts from the first connection when another one takes its place', () => {
    const clock = new ManualClock()
    const expected = new ExpectedRequests(clock)
    const [raw, secured] = [{}, {}]
    expected.add(raw)
    clock.advance(EXPECTED_REQUEST_MS - 1)
    expected.replace(raw, secured)
    expected.replace({}, {})
    expected.delete(raw)
    expect(expected.some).toBe(true)
    clock.advance(1)
    expect(expected.some).toBe(false)
  })
})
