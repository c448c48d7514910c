import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import type { BaseLink } from '../peers/base-link.js'
import { Recorder } from '../peers/base-recorder.js'
import {
  EXIT_SIDES,
  type ExitSide,
  openChannel,
  openTarget,
  SOCKS_SIDES,
  type SocksSide,
  Target,
} from '../peers/base-sides.js'
import { data, disconnect } from '../peers/base-wire.js'
import { HeldClock } from '../peers/held-clock.js'

// Deployed endpoints act on a Disconnect 5 s later or more: until then they send and take Data, then they send their own.

/** After its own end ours delivers what still comes for 5 s. */
const LINGER_MS = 5_000
/** Sent so shortly before that is over, it is no silence. */
const TRICKLE_MS = 500

/** What a deployed endpoint may still send for a channel that is over. */
function sayMore(link: BaseLink, id: string): void {
  link.send(data(id, 'late'), disconnect(id, 'EOF'), disconnect(id, 'late'), data(id, 'later'), disconnect(id))
}

describe.each(SOCKS_SIDES)('%s that disconnects late', (_, open) => {
  const scene = sceneOfSuite()
  let clock: HeldClock
  let side: SocksSide
  beforeAll(async () => {
    clock = await HeldClock.open(scene)
    side = await open(scene, () => ({ env: clock.env() }))
  })

  /** A channel whose application has ended its side. */
  async function halfClosed(): Promise<{ readonly id: string; readonly read: Recorder }> {
    const { app, id } = await openChannel(scene, side)
    const read = new Recorder(app)
    app.end('request')
    expect((await side.exit.next('disconnect', id)).error).toBe('EOF')
    expect(side.exit.bytes(id).toString()).toBe('request')
    // so it has seen its own end off
    await side.exit.ponged()
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
    await read.until(6)
    await clock.advance(LINGER_MS - 1)
    side.exit.finish(id, 'and last')
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('first and last')
    sayMore(side.exit, id)
    await expectServing()
  })

  it('ends after 5 s of silence by itself, and ignores what comes for a channel that is gone', async () => {
    const { id, read } = await halfClosed()
    side.exit.send(data(id, 'answer'))
    await read.until(6)
    await clock.advance(LINGER_MS - 1)
    await expectServing()
    expect(read.how).toBeUndefined()
    await clock.advance(1)
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('answer')
    sayMore(side.exit, id)
    await expectServing()
  })

  it('resets an application that would miss what comes after 5 s', async () => {
    const { id, read } = await halfClosed()
    await clock.advance(LINGER_MS - TRICKLE_MS)
    side.exit.send(data(id, 'x'))
    await read.until(1)
    await clock.advance(TRICKLE_MS)
    await read.reset()
    // a relay passes on one Disconnect, and answers what comes for a channel it has forgotten, 10 s after it
    await clock.advance(LINGER_MS)
    sayMore(side.exit, id)
    const { error } = await side.exit.next('disconnect', id)
    expect(error).not.toMatch(/^(EOF)?$/)
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

describe.each(EXIT_SIDES)('%s that disconnects late', (_, open) => {
  const scene = sceneOfSuite()
  let clock: HeldClock
  let side: ExitSide
  let target: Target
  beforeAll(async () => {
    clock = await HeldClock.open(scene)
    target = await Target.open(scene)
    side = await open(scene, () => ({ env: clock.env() }))
  })

  async function expectServing(): Promise<void> {
    const other = await Target.open(scene)
    const { app, id } = await openTarget(side.asker, other)
    side.asker.send(data(id, 'still there'))
    expect((await new Recorder(app).until(11)).toString()).toBe('still there')
    app.destroy()
  }

  /** A connection whose target has ended its side, and that has brought it more since. */
  async function halfClosed(): Promise<{ readonly id: string; readonly read: Recorder }> {
    const { app, id } = await openTarget(side.asker, target)
    const read = new Recorder(app)
    app.end('answer')
    expect((await side.asker.next('disconnect', id)).error).toBe('EOF')
    expect(side.asker.bytes(id).toString()).toBe('answer')
    // so it has seen its own end off
    await side.asker.ponged()
    side.asker.send(data(id, 'more '))
    await read.until(5)
    await clock.advance(LINGER_MS - 1)
    return { id, read }
  }

  it('brings a target that ended all that still comes', async () => {
    const { id, read } = await halfClosed()
    side.asker.finish(id, 'and last')
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('more and last')
    sayMore(side.asker, id)
    await expectServing()
  })

  it('closes a target that ended after 5 s of silence', async () => {
    const { id, read } = await halfClosed()
    await expectServing()
    expect(read.how).toBeUndefined()
    await clock.advance(1)
    expect(await read.ended()).toBe('end')
    side.asker.finish(id, 'and last')
    sayMore(side.asker, id)
    await expectServing()
    expect(read.text).toBe('more ')
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
