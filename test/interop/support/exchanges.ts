import type { Scene } from '../../support/e2e-scene.js'
import { readBytes, type SocksOptions, socksConnect } from '../../support/e2e-socks.js'

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
