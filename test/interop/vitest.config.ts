import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { CountsReporter } from '../support/counts-reporter.js'
import { MissingPeersReporter } from './support/missing-peers-reporter.js'

/** Real programs of other projects: a file at a time, and time for those that are slow to start. */
export default defineConfig({
  test: {
    environment: 'node',
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/interop/**/*.interop.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
    allowOnly: false,
    reporters: ['default', new MissingPeersReporter(), new CountsReporter()],
  },
})
