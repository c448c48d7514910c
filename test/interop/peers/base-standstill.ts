import { eventually } from '../../support/wait.js'

/** So long without a change means that all buffers on the way are full. */
const STANDSTILL_MS = 500

/** Waits until a count stands still; gives it. */
export async function standstill(count: () => number): Promise<number> {
  let [last, since] = [count(), Date.now()]
  return await eventually('standstill', () => {
    if (count() !== last) [last, since] = [count(), Date.now()]
    return Date.now() - since >= STANDSTILL_MS ? last : undefined
  })
}
