import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { Recorder } from '../peers/base-recorder.js'
import { BOTH_ENDS, type End } from '../peers/base-sides.js'
import { standstill } from '../peers/base-standstill.js'

// Old ends have no flow control: whoever sends to a slow one holds back.

const KB = 1024
const MB = 1024 * KB
/** Sockets' buffers and ours, on the longest way: two processes. */
const BUFFERS_BYTES = 28 * MB
const GROWTH_LIMIT = 120 * MB
const MAX_DATA_BYTES = 256 * KB
/** Deployed ends drop what comes behind 1000 messages of a channel: few large ones are safer than many small. */
const MEAN_DATA_BYTES = 32 * KB

const noise = randomBytes(32 * MB)
const digest = sha256(noise)

const pieces = (bytes: Buffer, size: number): readonly Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

/** Writes as fast as the socket takes it; `taken` tells how much that was. */
function pour(socket: Socket, bytes: Buffer): { taken: number } {
  const poured = { taken: 0 }
  for (const piece of pieces(bytes, 64 * KB)) {
    socket.write(piece, (error) => {
      if (!error) poured.taken += piece.length
    })
  }
  socket.end()
  return poured
}

describe.each(BOTH_ENDS)('%s that reads slowly', (_, start) => {
  const scene = sceneOfSuite()
  let end: End
  beforeAll(async () => {
    end = await start(scene)
  })
  const memory = (): number => end.processes.reduce((sum, process) => sum + process.residentBytes(), 0)

  it('is not sent more than it reads, and loses nothing', async () => {
    const { app, id } = await end.open()
    new Recorder(app)
    const before = memory()
    end.link.pause()
    const poured = pour(app, noise)
    expect(await standstill(() => poured.taken)).toBeLessThan(BUFFERS_BYTES)
    expect(memory() - before).toBeLessThan(GROWTH_LIMIT)
    end.link.resume()
    expect(sha256(await end.link.bytesOf(id, noise.length))).toBe(digest)
    expect((await end.link.next('disconnect', id)).error).toBe('EOF')
    const sizes = end.link.all('data', id).map((message) => message.data.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_DATA_BYTES)
    expect(noise.length / sizes.length).toBeGreaterThan(MEAN_DATA_BYTES)
    end.link.finish(id)
    app.destroy()
  })
})
