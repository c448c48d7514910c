import { type TestContext, vi } from 'vitest'
import { Scene } from '../../support/e2e/scene.js'
import { beginConcurrent } from '../../support/wait.js'

/** Programs that are not ours start slowly, and several cases run at once. */
const LIMIT_MS = 120_000
vi.setConfig({ testTimeout: LIMIT_MS, hookTimeout: LIMIT_MS, maxConcurrency: 3 })

/** A scene for this test alone, so that others may run beside it. To be called first. */
export function ownScene(context: TestContext): Scene {
  beginConcurrent(context)
  const scene = new Scene()
  context.onTestFinished(() => scene.end())
  return scene
}
