import { describe, expect, it } from 'vitest'
import { ReceiveWindow, SendWindow } from '../../src/mux/window.js'
import { MAX_WINDOW_BYTES } from '../../src/protocol/limits.js'

describe('SendWindow', () => {
  it('counts what is spent and granted', () => {
    const window = new SendWindow(100)
    window.spend(60)
    expect(window.available).toBe(40)
    window.grant(10)
    expect(window.available).toBe(50)
  })

  it('takes an initial grant and later ones as 16 MiB at most', () => {
    const window = new SendWindow(0xffff_ffff)
    expect(window.available).toBe(MAX_WINDOW_BYTES)
    window.spend(5)
    window.grant(0xffff_ffff)
    expect(window.available).toBe(MAX_WINDOW_BYTES)
  })

  it('owes what left before the grant was known', () => {
    const window = new SendWindow(10)
    window.spend(30)
    expect([window.available, window.overdrawn]).toEqual([0, true])
    window.grant(20)
    expect([window.available, window.overdrawn]).toEqual([0, false])
    window.grant(1)
    expect(window.available).toBe(1)
  })
})

describe('ReceiveWindow', () => {
  it('takes exactly what it granted', () => {
    const window = new ReceiveWindow(100)
    expect(window.receive(100)).toBe(true)
    expect(window.receive(1)).toBe(false)
  })

  it('gives credit back once a quarter of it was used up', () => {
    const window = new ReceiveWindow(100)
    window.receive(100)
    window.consume(24)
    expect(window.due).toBe(false)
    window.consume(1)
    expect(window.due).toBe(true)
    expect(window.flush()).toBe(25)
    expect([window.due, window.flush()]).toEqual([false, 0])
    expect(window.receive(25)).toBe(true)
    expect(window.receive(1)).toBe(false)
  })
})
