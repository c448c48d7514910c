/** How often the delay is measured. */
const SAMPLE_MS = 100

/**
 * Measures how late timers come: so long everything else waited, too.
 * @param onDelay told of each measurement, in milliseconds; must not throw
 * @returns what ends it
 */
export function watchEventLoop(onDelay: (delayMs: number) => void): () => void {
  let due = performance.now() + SAMPLE_MS
  const timer = setInterval(() => {
    const now = performance.now()
    onDelay(Math.max(0, now - due))
    due = now + SAMPLE_MS
  }, SAMPLE_MS)
  timer.unref()
  return () => clearInterval(timer)
}
