import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Draws the pictures of the documentation anew. */
export default defineConfig({
  test: {
    environment: 'node',
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/browser/screenshots.ts'],
    testTimeout: 60_000,
    hookTimeout: 45_000,
  },
})
