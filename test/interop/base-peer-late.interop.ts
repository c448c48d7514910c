import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite } from '../support/e2e-scene.js'
import type { BaseLink } from './peers/base-link.js'
import { Recorder } from './peers/base-recorder.js'
import {
  EXIT_SIDES,
  type ExitSide,
  openChannel,
  openTarget,
  SOCKS_SIDES,
  type SocksSide,
  Target,
} from './peers/base-sides.js'
import { data, disconnect } from './peers/base-wire.js'

// Deployed endpoints act on a Disconnect 5 s later or more: until then they send and take Data, then they send their own.

/** After its own end ours delivers what still comes for 5 s. */
const LINGER_MS = 5_000
const LIMIT_MS = 20_000
/** Sent every so often, it is no silence. */
const TRICKLE_MS = 200

/** What a deployed endpoint may still send for a channel that is over. */
function sayMore(link: BaseLink, id: string): void {
  link.send(data(id, 'late'), disconnect(id, 'EOF'), disconnect(id, 'late'), data(id, 'later'), disconnect(id))
}

describe.concurrent.each(SOCKS_SIDES)('%s that disconnects late', (_, open) => {
  const scene = sceneOfSuite()
  let side: SocksSide
  beforeAll(async () => {
    side = await open(scene)
  })

  /** A channel whose application has ended its side. */
  async function halfClosed(): Promise<{ readonly id: string; readonly read: Recorder }> {
    const { app, id } = await openChannel(scene, side)
    const read = new Recorder(app)
    app.end('request')
    expect((await side.exit.next('disconnect', id)).error).toBe('EOF')
    expect(side.exit.bytes(id).toString()).toBe('request')
    return { id, read }
  }

  async function expectServing(): Promise<void> {
    const { app, id } = await openChannel(scene, side)
    app.write('still there')
    expect((await side.exit.bytesOf(id, 11)).toString()).toBe('still there')
    app.destroy()
  }

  it('brings the application all that still comes, and its end', async () => {
    const { id, read } = await halfClosed()
    side.exit.send(data(id, 'first '))
    await sleep(LINGER_MS - 2_000)
    side.exit.finish(id, 'and last')
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('first and last')
    sayMore(side.exit, id)
    await expectServing()
  })

  it('ends after 5 s of silence by itself, and ignores what comes for a channel that is gone', async () => {
    const { id, read } = await halfClosed()
    side.exit.send(data(id, 'answer'))
    expect(await read.ended(LIMIT_MS)).toBe('end')
    expect(read.text).toBe('answer')
    sayMore(side.exit, id)
    await expectServing()
  })

  // again: a machine that stands still for a second makes silence of it
  it('resets an application that would miss what comes after 5 s', { retry: 2 }, async () => {
    const { id, read } = await halfClosed()
    const trickle = setInterval(() => side.exit.send(data(id, 'x')), TRICKLE_MS)
    try {
      await read.reset(LIMIT_MS)
      // a relay passes on one Disconnect, and answers what comes for a channel it has forgotten
      const { error } = await side.exit.next('disconnect', id, LIMIT_MS)
      expect(error).not.toMatch(/^(EOF)?$/)
    } finally {
      clearInterval(trickle)
    }
    await expectServing()
  })

  it('ends the application with what came before the Disconnect, and once', async () => {
    const { app, id } = await openChannel(scene, side)
    const read = new Recorder(app)
    side.exit.finish(id, 'all ', 'of it')
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('all of it')
    expect((await side.exit.next('disconnect', id)).error).toBe('EOF')
    sayMore(side.exit, id)
    await expectServing()
    expect(read.text).toBe('all of it')
    app.destroy()
  })
})

describe.concurrent.each(EXIT_SIDES)('%s that disconnects late', (_, open) => {
  const scene = sceneOfSuite()
  let side: ExitSide
  let target: Target
  beforeAll(async () => {
    target = await Target.open(scene)
    side = await open(scene)
  })

  async function expectServing(): Promise<void> {
    const other = await Target.open(scene)
    const { app, id } = await openTarget(side.asker, other)
    side.asker.send(data(id, 'still there'))
    expect((await new Recorder(app).until(11)).toString()).toBe('still there')
    app.destroy()
  }

  /** The target ends first; then the asker goes on for `ms`, and ends the channel. */
  it.each([
    ['brings a target that ended all that still comes', LINGER_MS - 2_000, 'more and last'],
    ['closes a target that ended after 5 s of silence', LINGER_MS + 1_500, 'more '],
  ])('%s', async (__, ms, text) => {
    const own = await Target.open(scene)
    const { app, id } = await openTarget(side.asker, own)
    const read = new Recorder(app)
    app.end('answer')
    expect((await side.asker.next('disconnect', id)).error).toBe('EOF')
    expect(side.asker.bytes(id).toString()).toBe('answer')
    side.asker.send(data(id, 'more '))
    await sleep(ms)
    side.asker.finish(id, 'and last')
    await read.ended(LIMIT_MS)
    expect(read.text).toBe(text)
    sayMore(side.asker, id)
    await expectServing()
  })

  it('ends the target at once behind what came before the Disconnect', async () => {
    const { app, id } = await openTarget(side.asker, target)
    const read = new Recorder(app)
    side.asker.finish(id, 'all ', 'of it')
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('all of it')
    expect((await side.asker.next('disconnect', id)).error).toBe('EOF')
    sayMore(side.asker, id)
    await expectServing()
    expect(read.text).toBe('all of it')
  })
})
