import { createHash } from 'node:crypto'
import type { Scene } from '../../../support/e2e/scene.js'
import { tcpTarget } from '../../../support/e2e/targets.js'

/** A target that reads to the end before it answers: the SHA-256 of what it got, and that with every bit turned round. */
export function afterEofTarget(scene: Scene): Promise<number> {
  return tcpTarget(scene, (socket) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => socket.end(afterEofAnswer(Buffer.concat(chunks))))
  })
}

/** What `afterEofTarget` answers to an input. */
export function afterEofAnswer(input: Buffer): Buffer {
  const answer = Buffer.concat([createHash('sha256').update(input).digest(), input])
  for (let index = 32; index < answer.length; index++) answer[index] = 255 - (answer[index] ?? 0)
  return answer
}
