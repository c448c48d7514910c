import { afterAll, onTestFinished, TestRunner } from 'vitest'
import { runsConcurrently } from './wait.js'

/**
 * Cleans up after the running test, the last thing first; while a file is collected, after that file or `describe`. Not for
 * hooks, whose suite takes no further hooks. Fixtures call this where they open something: a hook at the head of a module is set
 * for the first file of a worker only.
 * @throws in a concurrent test, where vitest does not say which test runs: use its own `onTestFinished`
 */
export function atEnd(cleanup: () => unknown): void {
  const run = async (): Promise<void> => {
    await cleanup()
  }
  if (runsConcurrently()) throw new Error('atEnd() in a concurrent test: use the onTestFinished() of its context')
  if (TestRunner.getCurrentTest() === undefined) afterAll(run)
  else onTestFinished(run)
}
