import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TestContext, TestRunner } from 'vitest'

/** Of a test that fakes the time these stay real. */
const now = Date.now
/** What `setTimeout` can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** Before a test's time is over, so that the wait says what did not come. */
const MARGIN_MS = 1_000
/** For a wait in a hook: hooks don't tell their limit. It is below `hookTimeout` of every configuration. */
const HOOK_MS = 25_000
/** Between two looks at what another process does not announce. */
const POLL_MS = 25
/** Looks in a row, and the pause before each, at a value that is to stand still. */
const STILL_LOOKS = 50
const STILL_PAUSE_MS = 2
/** Deadline of each concurrent test; vitest knows only the test that started last. */
const ends = new AsyncLocalStorage<number>()
/** Turns of the event loop that a condition of this process gets before it is looked at once a millisecond only. */
const EAGER_TURNS = 200

let concurrentTests = 0

/** Call this first in a concurrent test: its waits then have its own deadline, counted from now. */
export function beginConcurrent({ task, onTestFinished }: Pick<TestContext, 'task' | 'onTestFinished'>): void {
  concurrentTests += 1
  onTestFinished(() => {
    concurrentTests -= 1
    // left on, it makes every promise of the files that come after cost twice as much
    if (concurrentTests === 0) ends.disable()
  })
  ends.enterWith(now() + limitOf(task))
}

/** Whether tests run beside each other: what vitest says of the current test is then not to be relied on. */
export function runsConcurrently(): boolean {
  return concurrentTests > 0
}

/** A test's time limit; 0 stands for none, as in a debugger. */
function limitOf({ timeout }: { readonly timeout: number }): number {
  return timeout > 0 && Number.isFinite(timeout) ? timeout : LONGEST_TIMER_MS
}

/**
 * How long a wait may take, in milliseconds: what is left of the running test's own time. In a test no wait has a limit below
 * that, because how long a thing takes depends on what else the machine does.
 */
export function patience(): number {
  const end = ends.getStore()
  if (end !== undefined) return Math.min(LONGEST_TIMER_MS, Math.max(0, end - MARGIN_MS - now()))
  const test = TestRunner.getCurrentTest()
  const began = test?.result?.startTime
  if (test === undefined || began === undefined) return HOOK_MS
  return Math.min(LONGEST_TIMER_MS, Math.max(0, began + limitOf(test) - MARGIN_MS - now()))
}

/** What `promise` gives. @throws when the test's time is nearly over; `what` says what was waited for */
export async function within<T>(
  promise: Promise<T>,
  what: string | (() => string),
  limitMs: number = patience(),
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no ${named(what)} within ${limitMs} ms`))
    }, limitMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks `probe` again and again until it gives something; for what other processes don't announce. */
export async function eventually<T>(
  what: string | (() => string),
  probe: () => Promise<T | undefined> | T | undefined,
  limitMs: number = patience(),
): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`no ${named(what)} within ${limitMs} ms`)
    await sleep(POLL_MS)
  }
}

/** Waits until `condition` of this process holds: looks in each turn of the event loop at first, then every millisecond. */
export async function until(condition: () => boolean): Promise<void> {
  const limitMs = patience()
  const end = performance.now() + limitMs
  for (let turn = 0; !condition(); turn += 1) {
    if (performance.now() > end) throw new Error(`still not so after ${limitMs} ms: ${condition}`)
    if (turn < EAGER_TURNS) await new Promise((resolve) => setImmediate(resolve))
    else await sleep(1)
  }
}

/** What `check` gives once it no longer throws. @throws its last error */
export async function untilPasses<T>(check: () => T | Promise<T>): Promise<T> {
  const end = performance.now() + patience()
  for (let turn = 0; ; turn += 1) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > end) throw error
    }
    if (turn < EAGER_TURNS) await new Promise((resolve) => setImmediate(resolve))
    else await sleep(1)
  }
}

/**
 * Waits until `value` has been the same for so many looks, 2 ms apart: for what must not happen, or comes to a halt at no
 * known point. Looks are counted instead of time, so a stall of this process is not taken for a standstill.
 */
export async function untilStill(value: () => number, stillLooks = STILL_LOOKS): Promise<void> {
  const limitMs = patience()
  const end = performance.now() + limitMs
  let last = value()
  for (let looks = 0; looks < stillLooks; looks += 1) {
    if (performance.now() > end) throw new Error(`still changing after ${limitMs} ms: ${value}`)
    await sleep(STILL_PAUSE_MS)
    const now = value()
    if (now !== last) looks = 0
    last = now
  }
}

function named(what: string | (() => string)): string {
  return typeof what === 'string' ? what : what()
}
