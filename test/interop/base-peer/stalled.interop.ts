import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { beginConcurrent } from '../../support/wait.js'
import { Recorder } from '../peers/base-recorder.js'
import { askChannel, BOTH_ENDS, type End, SOCKS_SIDES } from '../peers/base-sides.js'
import { standstill } from '../peers/base-standstill.js'
import { data, gzipped } from '../peers/base-wire.js'

// Old ends send on when nobody reads: the link is read in steps then, 4 MiB every 2 s, and nothing is dropped.

const KB = 1024
const MB = 1024 * KB
/** 30 s pass until a channel is given up, and 2 s between the steps of each process on the way. */
const timeout = 120_000
/** More than the sockets and buffers of one process hold: the link has to stand still in between. */
const FLOOD_BYTES = 20 * MB
const GROWTH_LIMIT = 120 * MB
/** What may leave before the ConnectResponse. */
const EARLY_BYTES = 64 * KB

const flood = randomBytes(FLOOD_BYTES)
const pieces = Array.from({ length: FLOOD_BYTES / (256 * KB) }, (_, index) =>
  flood.subarray(index * 256 * KB, (index + 1) * 256 * KB),
)

// the longest wait first: the others pass meanwhile
describe.concurrent.each([BOTH_ENDS[0], BOTH_ENDS[4]].filter((end) => end !== undefined))(
  '%s that floods a reader who never reads again',
  (_, start) => {
    const scene = sceneOfSuite()

    it('has that channel aborted after 30 s, and the others not', { timeout }, async (context) => {
      beginConcurrent(context)
      const end = await start(scene)
      const stalled = await end.open()
      const neighbour = await end.open()
      end.link.send(...pieces.map((piece) => data(stalled.id, piece)))
      const { error } = await end.link.next('disconnect', stalled.id)
      expect(error).toContain('accepted nothing')
      end.link.send(data(neighbour.id, 'not stopped'))
      expect((await new Recorder(neighbour.app).until(11)).toString()).toBe('not stopped')
      await new Recorder(stalled.app).reset()
    })
  },
)

describe.concurrent.each(SOCKS_SIDES)('%s that loses the ConnectResponse', (_, open) => {
  const scene = sceneOfSuite()

  it('gets all of an upload, though no more than 64 KiB at first', { timeout }, async (context) => {
    beginConcurrent(context)
    const side = await open(scene)
    const { opening, id } = await askChannel(scene, side, side.exit)
    side.exit.send(data(id, 'welcome'))
    const app = await opening
    const upload = flood.subarray(0, 3 * MB)
    app.write(upload)
    expect((await side.exit.bytesOf(id, EARLY_BYTES)).length).toBe(EARLY_BYTES)
    expect(sha256(await side.exit.bytesOf(id, upload.length))).toBe(sha256(upload))
    app.destroy()
  })
})

describe.concurrent.each(BOTH_ENDS)('%s that floods a reader who stalls', (_, start) => {
  const scene = sceneOfSuite()
  let end: End
  beforeAll(async () => {
    end = await start(scene)
  })

  it('has its link slowed, not stopped, and nothing dropped', { timeout }, async (context) => {
    beginConcurrent(context)
    const stalled = await end.open()
    const neighbour = await end.open()
    const memory = (): number => end.processes.reduce((sum, process) => sum + process.residentBytes(), 0)
    const before = memory()
    // each process on the way holds as much
    const sent = end.processes.flatMap(() => pieces)
    end.link.send(...sent.map((piece) => data(stalled.id, piece)))
    end.link.finish(stalled.id)
    // behind all of it, for a reader that is there
    end.link.send(data(neighbour.id, 'not '), gzipped(neighbour.id, 'stopped'))
    const pong = end.link.ponged()
    const read = new Recorder(neighbour.app)
    // until all buffers on the way are full; where the system's are large enough they take all of it
    await standstill(() => end.link.queuedBytes)
    expect((await read.until(11)).toString()).toBe('not stopped')
    await pong
    expect(memory() - before).toBeLessThan(GROWTH_LIMIT)
    const late = new Recorder(stalled.app)
    expect(await late.ended()).toBe('end')
    expect(sha256(late.bytes)).toBe(sha256(Buffer.concat(sent)))
    neighbour.app.destroy()
  })
})
