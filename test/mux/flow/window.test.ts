import { describe, expect, it } from 'vitest'
import { ReceiveWindow, SendWindow } from '../../../src/mux/flow/window.js'
import { KIB, MAX_WINDOW_BYTES } from '../../../src/protocol/limits.js'

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

  it.each([
    [64 * KIB, 32 * KIB],
    [128 * KIB, 64 * KIB],
    [256 * KIB, 128 * KIB],
    [512 * KIB, 128 * KIB],
    [768 * KIB, 192 * KIB],
    [1_024 * KIB, 256 * KIB],
    [16_384 * KIB, 256 * KIB],
  ])('of %d bytes gives credit back in steps of %d', (size, step) => {
    const window = new ReceiveWindow(size)
    window.receive(size)
    window.consume(step - 1)
    expect(window.due).toBe(false)
    window.consume(1)
    expect(window.due).toBe(true)
    expect(window.flush()).toBe(step)
    expect([window.due, window.flush()]).toEqual([false, 0])
    expect(window.receive(step)).toBe(true)
    expect(window.receive(1)).toBe(false)
  })
})

describe('ReceiveWindow on a path', () => {
  it('tells once for each window of bytes how long it took', () => {
    const window = new ReceiveWindow(100)
    expect(window.turn(1_000)).toBeUndefined()
    window.consume(99)
    expect(window.turn(1_040)).toBeUndefined()
    window.consume(1)
    expect([window.turn(1_050), window.turn(1_060)]).toEqual([50, undefined])
    window.consume(100)
    expect(window.turn(1_080)).toBe(30)
  })

  it('grants what it grows by, and takes that much more', () => {
    const window = new ReceiveWindow(100)
    window.receive(100)
    window.consume(40)
    window.grow(300)
    expect([window.size, window.flush()]).toEqual([400, 340])
    expect([window.receive(340), window.receive(1)]).toEqual([true, false])
  })

  it('shrinks only by what was used up and not granted again', () => {
    const window = new ReceiveWindow(100)
    window.grow(300)
    window.flush()
    window.receive(400)
    expect(window.shrink(100)).toBe(0)
    window.consume(250)
    expect([window.shrink(100), window.size, window.flush()]).toEqual([250, 150, 0])
    window.consume(150)
    expect([window.shrink(100), window.size, window.flush()]).toEqual([50, 100, 100])
  })

  it('gives credit of a large window back in small steps', () => {
    const window = new ReceiveWindow(MAX_WINDOW_BYTES)
    window.consume(256 * 1024 - 1)
    expect(window.due).toBe(false)
    window.consume(1)
    expect(window.due).toBe(true)
  })
})
