import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { Recorder } from '../peers/base-recorder.js'
import { BOTH_ENDS, type End } from '../peers/base-sides.js'
import { compressed, data, gzipped } from '../peers/base-wire.js'

const MB = 1024 * 1024

const noise = randomBytes(3 * MB)
const text = Buffer.alloc(20 * MB, 'compresses to little; ')

/** Every size at which something could change, compressed and not, small ones right behind large ones. */
const PIECES: readonly (readonly [write: typeof data, bytes: Buffer])[] = [
  [gzipped, noise.subarray(0, 1)],
  [data, noise.subarray(1, 3)],
  [gzipped, Buffer.alloc(0)],
  [gzipped, text],
  [data, noise.subarray(3, 4)],
  [data, Buffer.alloc(0)],
  [gzipped, noise.subarray(4, 1 * MB)],
  [gzipped, noise.subarray(1 * MB, 1 * MB + 17)],
  [data, noise.subarray(1 * MB + 17, 2 * MB)],
  [gzipped, noise.subarray(2 * MB, 3 * MB)],
  [data, Buffer.from('the end')],
]
const whole = Buffer.concat(PIECES.map(([, bytes]) => bytes))

const member = gzipSync('a gzip member of some length')
const BOMB = gzipSync(Buffer.alloc(33 * MB))

/** What ends a channel with an error. */
const BROKEN: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['inflates to more than 32 MiB', BOMB],
  ['is no gzip', Buffer.from('this is not compressed at all')],
  ['is empty', Buffer.alloc(0)],
  ['is cut', member.subarray(0, -9)],
  ['has a wrong checksum', Buffer.concat([member.subarray(0, -8), Buffer.of(1, 2, 3, 4), member.subarray(-4)])],
  ['is followed by bytes of something else', Buffer.concat([member, Buffer.from('leftovers')])],
]

describe.each(BOTH_ENDS)('%s that compresses', (_, start) => {
  const scene = sceneOfSuite()
  let end: End
  beforeAll(async () => {
    end = await start(scene)
  })

  it('brings every size through in order', async () => {
    const { app, id } = await end.open()
    const read = new Recorder(app)
    end.link.send(...PIECES.map(([write, bytes]) => write(id, bytes)))
    expect(sha256(await read.until(whole.length))).toBe(sha256(whole))
    app.end('answer')
    expect((await end.link.bytesOf(id, 6)).toString()).toBe('answer')
    end.link.finish(id)
    await read.ended()
    expect(read.length).toBe(whole.length)
  })

  it('delivers compressed bytes before the end that follows them', async () => {
    const { app, id } = await end.open()
    const read = new Recorder(app)
    end.link.send(gzipped(id, text))
    end.link.finish(id, 'last')
    expect(await read.ended()).toBe('end')
    expect(read.length).toBe(text.length + 4)
  })

  it.each(BROKEN)('aborts only the channel whose data %s', async (__, bytes) => {
    const neighbour = await end.open()
    const { app, id } = await end.open()
    const read = new Recorder(app)
    end.link.send(data(id, 'before'), compressed(id, bytes), data(id, 'after'))
    await read.reset()
    expect(read.text).toBe('before')
    expect((await end.link.next('disconnect', id)).error).not.toMatch(/^(EOF)?$/)
    end.link.send(data(neighbour.id, 'untouched'))
    expect((await new Recorder(neighbour.app).until(9)).toString()).toBe('untouched')
    neighbour.app.destroy()
  })

  it('brings a fast download of large messages through, and its neighbour on the link', async () => {
    const neighbour = await end.open()
    const { app, id } = await end.open()
    const reads = [new Recorder(app), new Recorder(neighbour.app)] as const
    const small = Array.from({ length: 16 }, () => data(neighbour.id, noise.subarray(0, 4_096)))
    const large = [0, 1, 2].map((at) => gzipped(id, noise.subarray(at * MB, (at + 1) * MB)))
    // faster than they can be inflated
    const messages = Array.from({ length: 6 }, () => large.flatMap((message) => [message, ...small]))
    end.link.send(...messages.flat())
    end.link.finish(neighbour.id)
    end.link.finish(id)
    expect([await reads[0].ended(), await reads[1].ended()]).toEqual(['end', 'end'])
    expect(sha256(reads[0].bytes)).toBe(sha256(Buffer.concat(new Array<Buffer>(6).fill(noise))))
    expect(reads[1].length).toBe(18 * 16 * 4_096)
  })
})
