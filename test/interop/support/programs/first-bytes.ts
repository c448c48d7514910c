import { pipeline } from 'node:stream'
import type { Scene } from '../../../support/e2e/scene.js'
import { tcpTarget } from '../../../support/e2e/targets.js'

/** A way to a port that notes how each connection begins. */
export interface FirstBytes {
  readonly port: number
  /** The first word of each connection that begins with a letter, else its first byte as a number. */
  readonly seen: ReadonlySet<string>
}

/** Passes connections on to a proxy port, to show by which protocol a program came. */
export async function firstBytes(scene: Scene, to: number): Promise<FirstBytes> {
  const seen = new Set<string>()
  const port = await tcpTarget(scene, (socket) => {
    const far = scene.connect(to)
    socket.once('data', (chunk: Buffer) => {
      const [word] = /^[A-Z]+(?= )/.exec(chunk.toString('latin1')) ?? []
      seen.add(word ?? `${chunk[0]}`)
      far.write(chunk)
      pipeline(socket, far, socket, () => {})
    })
  })
  return { port, seen }
}
