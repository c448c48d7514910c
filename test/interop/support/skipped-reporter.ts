import type { Reporter, TestModule } from 'vitest/node'
import { DEPLOYED } from './deployed.js'

const RULE = '!'.repeat(100)

/** Names every case that did not run: what was not seen must not look as if it was. */
export class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')])
    const lines = skipped.map((test) => {
      const result = test.result()
      const note = result.state === 'skipped' ? result.note : undefined
      return `skipped: ${test.fullName}${note === undefined ? '' : ` (${note})`}\n`
    })
    const missing = DEPLOYED.filter((peer) => peer.missing !== undefined)
    const loud = missing.map((peer) => `${RULE}\n${peer.name} DID NOT RUN: ${peer.missing}\n${RULE}\n`)
    process.stdout.write(['\n', ...lines, ...loud].join(''))
  }
}
