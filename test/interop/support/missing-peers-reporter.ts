import type { TestModule } from 'vitest/node'
import { SkippedReporter } from '../../support/skipped-reporter.js'
import { DEPLOYED } from './deployed.js'

const RULE = '!'.repeat(100)

/** Names deployed releases that did not run, too: without them the matrix proves nothing. */
export class MissingPeersReporter extends SkippedReporter {
  override onTestRunEnd(modules: readonly TestModule[]): void {
    super.onTestRunEnd(modules)
    const missing = DEPLOYED.filter((peer) => peer.missing !== undefined)
    const loud = missing.map((peer) => `${RULE}\n${peer.name} DID NOT RUN: ${peer.missing}\n${RULE}\n`)
    process.stdout.write(loud.join(''))
  }
}
