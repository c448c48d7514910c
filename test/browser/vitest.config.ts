import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { CountsReporter } from '../support/counts-reporter.js'
import { SkippedReporter } from '../support/skipped-reporter.js'

/** One browser a file, a file at a time: figures are measured here. */
export default defineConfig({
  test: {
    environment: 'node',
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/browser/*.browser.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 45_000,
    hookTimeout: 45_000,
    teardownTimeout: 5_000,
    allowOnly: false,
    reporters: ['default', new SkippedReporter(), new CountsReporter()],
  },
})
