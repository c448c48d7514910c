import { afterAll, onTestFinished, TestRunner } from 'vitest'

/**
 * Cleans up after the running test, the last thing first; outside of a test, after its file or `describe`. Fixtures call this
 * where they open something: a hook at the head of a module is set for the first file of a worker only.
 */
export function atEnd(cleanup: () => unknown): void {
  const run = async (): Promise<void> => {
    await cleanup()
  }
  if (TestRunner.getCurrentTest() === undefined) afterAll(run)
  else onTestFinished(run)
}
