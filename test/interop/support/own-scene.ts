import { type TestContext, vi } from 'vitest'
import { Scene } from '../../support/e2e-scene.js'

/** Programs that are not ours start slowly, and several cases run at once. */
const LIMIT_MS = 120_000
vi.setConfig({ testTimeout: LIMIT_MS, hookTimeout: LIMIT_MS, maxConcurrency: 3 })

/** A scene for this test alone, so that others may run beside it. */
export function ownScene({ onTestFinished }: TestContext): Scene {
  const scene = new Scene()
  onTestFinished(() => scene.end())
  return scene
}
