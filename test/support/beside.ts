import type { TestContext } from 'vitest'
import { Scene } from './e2e/scene.js'
import { beginConcurrent } from './wait.js'

/** A test that may go on beside others of its file (`concurrent`), with a scene of its own. */
export function withScene(run: (scene: Scene) => Promise<void>): (context: TestContext) => Promise<void> {
  return async (context) => {
    beginConcurrent(context)
    const scene = new Scene()
    context.onTestFinished(() => scene.end())
    await run(scene)
  }
}
