import { writeFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule, TestRunEndReason } from 'vitest/node'

/**
 * Writes what ran to the file that SUITE_COUNTS names, for the sum over all suites. What fails outside of a test counts as a
 * failure too: a file that can't be read, an error that nothing caught, a run that was stopped.
 */
export class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[], reason: TestRunEndReason): void {
    const path = process.env.SUITE_COUNTS
    if (path === undefined) return
    const count = (state: 'passed' | 'failed' | 'skipped' | 'pending'): number =>
      modules.reduce((sum, module) => sum + [...module.children.allTests(state)].length, 0)
    // a hook that fails skips its tests
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()])
    const broken = suites.filter((suite) => suite.errors().length > 0).length
    const stopped = reason === 'interrupted' ? 1 : 0
    const failed = count('failed') + count('pending') + broken + errors.length + stopped
    writeFileSync(path, JSON.stringify({ passed: count('passed'), failed, skipped: count('skipped') }))
  }
}
