import type { Reporter, TestModule } from 'vitest/node'

/** Names every case that did not run, or not well at once: what was not seen must not look as if it was. */
export class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')])
    const lines = skipped.map((test) => {
      const result = test.result()
      const note = result.state === 'skipped' ? result.note : undefined
      return `skipped: ${test.fullName}${note === undefined ? '' : ` (${note})`}\n`
    })
    const tests = modules.flatMap((module) => [...module.children.allTests('passed')])
    const flaky = tests.filter((test) => test.diagnostic()?.flaky === true)
    for (const test of flaky) lines.push(`passed at the second try only: ${test.fullName}\n`)
    process.stdout.write(['\n', ...lines].join(''))
  }
}
