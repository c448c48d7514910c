import type { Scene } from '../../support/e2e/scene.js'
import { readBytes, type SocksOptions, socksConnect } from '../../support/e2e/socks.js'

/** How long a stream may hang before another is tried beside it. */
const BESIDE_MS = 1_000

/** What a target at an echo port sent back through the proxy. @throws when the proxy refuses, or the echo is late */
export async function echoed(
  scene: Scene,
  socksPort: number,
  target: readonly [string, number],
  text: string,
  options?: SocksOptions,
): Promise<string> {
  const socket = await socksConnect(scene, socksPort, target, options)
  try {
    socket.write(text)
    return (await readBytes(socket, Buffer.byteLength(text))).toString()
  } finally {
    socket.destroy()
  }
}

/**
 * Tries again with each call, and gives the first echo that came back. A stream may hang for good where its link is gone:
 * it holds up none of the others.
 */
export function echoAttempts(
  scene: Scene,
  socksPort: number,
  target: readonly [string, number],
  text: string,
): () => string | undefined {
  let [answer, waiting, begun]: [string | undefined, number, number] = [undefined, 0, 0]
  return () => {
    if (waiting === 0 || performance.now() - begun > BESIDE_MS) {
      begun = performance.now()
      waiting += 1
      const attempt = echoed(scene, socksPort, target, text).catch(() => undefined)
      void attempt.then((echo) => {
        answer ??= echo
        waiting -= 1
      })
    }
    return answer
  }
}
