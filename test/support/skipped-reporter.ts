import type { Reporter, TestModule } from 'vitest/node'

/** Names every case that did not run: what was not seen must not look as if it was. */
export class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')])
    const lines = skipped.map((test) => {
      const result = test.result()
      const note = result.state === 'skipped' ? result.note : undefined
      return `skipped: ${test.fullName}${note === undefined ? '' : ` (${note})`}\n`
    })
    process.stdout.write(['\n', ...lines].join(''))
  }
}
