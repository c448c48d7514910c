import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/ports.js'

export interface ClockSetup {
  readonly clock: Clock
  /** Lets `ms` pass, and what falls due run. */
  pass(ms: number): Promise<void>
}

export function clockContract(name: string, open: () => ClockSetup): void {
  describe(`${name} as a Clock`, () => {
    it('moves forward only', async () => {
      const { clock, pass } = open()
      const start = clock.now()
      await pass(10)
      const later = clock.now()
      expect(later - start).toBe(10)
      expect(clock.now()).toBeGreaterThanOrEqual(later)
    })

    it('runs a callback once, not before its time', async () => {
      const { clock, pass } = open()
      const start = clock.now()
      const fired: number[] = []
      clock.after(20, () => fired.push(clock.now() - start))
      await pass(60)
      expect(fired).toEqual([20])
    })

    it('runs callbacks in the order they fall due, never inside after()', async () => {
      const { clock, pass } = open()
      const order: string[] = []
      clock.after(30, () => order.push('third'))
      clock.after(0, () => order.push('first'))
      clock.after(15, () => order.push('second'))
      expect(order).toEqual([])
      await pass(80)
      expect(order).toEqual(['first', 'second', 'third'])
    })

    it('never fires a cancelled timer; cancel() twice and after firing is harmless', async () => {
      const { clock, pass } = open()
      let fired = 0
      const cancelled = clock.after(5, () => fired++)
      const kept = clock.after(5, () => fired++)
      cancelled.cancel()
      cancelled.cancel()
      await pass(40)
      expect(fired).toBe(1)
      kept.cancel()
    })

    it('takes new timers and cancels others inside a callback', async () => {
      const { clock, pass } = open()
      const order: string[] = []
      const other = clock.after(30, () => order.push('cancelled'))
      clock.after(5, () => {
        other.cancel()
        clock.after(5, () => order.push('nested'))
      })
      await pass(80)
      expect(order).toEqual(['nested'])
    })

    it('does not fire a timer of more than 2^31 ms at once', async () => {
      const { clock, pass } = open()
      let fired = 0
      const timer = clock.after(2 ** 31 + 5, () => fired++)
      await pass(20)
      timer.cancel()
      expect(fired).toBe(0)
    })
  })
}
