import { untilStill } from '../../support/wait.js'

/** This many looks without a change mean that all buffers on the way are full: half a second at least. */
const STILL_LOOKS = 250

/** Waits until a count stands still; gives it. */
export async function standstill(count: () => number): Promise<number> {
  await untilStill(count, STILL_LOOKS)
  return count()
}
