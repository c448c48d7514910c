import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { CountsReporter } from '../support/counts-reporter.js'
import { SkippedReporter } from '../support/skipped-reporter.js'

/** What deploy/ needs other programs for: nginx, Caddy, systemd's own checks, linters. */
export default defineConfig({
  test: {
    environment: 'node',
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/deploy/**/*.deploy.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
    allowOnly: false,
    reporters: ['default', new SkippedReporter(), new CountsReporter()],
  },
})
