import { defineConfig } from 'vitest/config'
import { CountsReporter } from './test/support/counts-reporter.js'

/**
 * Forked workers, and no more of them than the two cores the suite is sized for. Most files share a worker with the files
 * before them (`isolate: false`), because a worker of its own costs a file half a second. So a fixture sets no hooks at its
 * head (`test/support/at-end.ts`), and no test leaves anything global changed. Files that mock modules, or look at memory that
 * a whole process shares, are in `alone`.
 */
const ALONE = [
  'test/guard/**/*.test.ts',
  ...[
    'client',
    'connect/lookup-phase',
    'net/fresh-memory',
    'net/mask-memory',
    'net/recycled-memory',
    'net/recycled-memory-ways',
    'net/resolve',
    'net/socket-reader',
    'system/inflate',
    'websocket/frame-reader-limits',
    'websocket/full-line',
  ].map(ofNode),
]

function ofNode(name: string): string {
  return `test/node/${name}.test.ts`
}

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    // machines are shared: what takes a second alone has taken ten
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
    allowOnly: false,
    passWithNoTests: false,
    dangerouslyIgnoreUnhandledErrors: false,
    reporters: ['default', new CountsReporter()],
    projects: [
      {
        extends: true,
        test: {
          name: 'memory',
          include: [
            'test/{api,bench,cli,client,dashboard,exit,ground,inbound,mux,policy,project,protocol,relay,socks,streams,support}/**/*.test.ts',
          ],
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'node',
          include: ['test/node/**/*.test.ts'],
          exclude: ALONE,
          isolate: false,
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: ALONE },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: ['test/{deploy,docs,e2e,faults}/**/*.test.ts'],
          isolate: false,
          // these mostly wait for the timers of other processes, not for a core
          maxWorkers: 3,
          // and so they run after the others
          sequence: { groupOrder: 1 },
          // several processes start for each test
          testTimeout: 40_000,
          hookTimeout: 40_000,
        },
      },
    ],
  },
})
