import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { CountsReporter } from '../support/counts-reporter.js'

/** The package as it is installed. `run.mjs` says where the tarball and the releases of Node are. */
export default defineConfig({
  test: {
    environment: 'node',
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/package/**/*.package.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 5_000,
    allowOnly: false,
    reporters: ['default', new CountsReporter()],
  },
})
