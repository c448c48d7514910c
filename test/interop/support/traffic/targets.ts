import { createHash, randomFillSync } from 'node:crypto'
import { readdirSync, readlinkSync } from 'node:fs'
import type { Socket } from 'node:net'
import { Scene } from '../../../support/e2e/scene.js'
import { tcpTarget } from '../../../support/e2e/targets.js'
import { untilStill } from '../../../support/wait.js'

export const MB = 1024 * 1024
const BLOCK_BYTES = 8 * MB
/** Written at once by who sends as fast as it may. */
const CHUNK_BYTES = 64 * 1024
/** This many looks without a byte mean that all buffers on the way are full: a second at least. */
const STILL_LOOKS = 500

/** Random bytes and well compressible text by turns. */
export function mixedContent(bytes: number): Buffer {
  const content = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 2 * BLOCK_BYTES) {
    randomFillSync(content, at, BLOCK_BYTES)
    content.fill(`the block at ${at} says this again and again. `, at + BLOCK_BYTES, at + 2 * BLOCK_BYTES)
  }
  return content
}

/** Runs with a scene of its own, so that nothing of it is left when it is done. */
export async function visit<T>(run: (scene: Scene) => Promise<T>): Promise<T> {
  const scene = new Scene()
  try {
    return await run(scene)
  } finally {
    await scene.end()
  }
}

/** What is said to `answerTarget` by number `id`, and what it answers: no two are alike. */
export function conversation(id: number): { request: string; answer: Buffer } {
  const request = `${id} ${sha256Of(`request ${id}`)
    .toString('hex')
    .repeat(1 + (id % 50))}\n`
  return { request, answer: Buffer.concat(new Array<Buffer>(64 + (id % 300)).fill(sha256Of(request))) }
}

function sha256Of(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Answers each conversation's request when all of it came, and ends. */
export function answerTarget(scene: Scene): Promise<number> {
  return tcpTarget(scene, (socket) => {
    let request = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      request += text
      if (!request.endsWith('\n')) return
      const expected = conversation(Number.parseInt(request, 10))
      socket.end(request === expected.request ? expected.answer : 'the request came damaged')
    })
  })
}

/** Writes in chunks, each when the one before it went; tells how much went. */
export async function send(socket: Socket, content: Buffer, went: (bytes: number) => void): Promise<void> {
  for (let at = 0; at < content.length && !socket.destroyed; at += CHUNK_BYTES) {
    const chunk = content.subarray(at, at + CHUNK_BYTES)
    await new Promise<void>((resolve) => socket.write(chunk, () => resolve()))
    went(chunk.length)
  }
}

/** Waits until nothing moves any more. */
export async function standstill(moved: () => number): Promise<void> {
  await untilStill(moved, STILL_LOOKS)
}

/** How many sockets a process has open. */
export function socketCount(pid: number): number {
  const isSocket = (name: string): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`).startsWith('socket:')
    } catch {
      // closed since
      return false
    }
  }
  return readdirSync(`/proc/${pid}/fd`).filter(isSocket).length
}
