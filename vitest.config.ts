import { defineConfig } from 'vitest/config'

/** Tests use real sockets and processes: forked workers, and no more of them than the two cores the suite is sized for. */
export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // machines are shared: what takes a second alone has taken ten
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
    allowOnly: false,
    passWithNoTests: false,
    dangerouslyIgnoreUnhandledErrors: false,
  },
})
