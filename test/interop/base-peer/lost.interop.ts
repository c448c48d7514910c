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
import { connect, data, newId } from '../peers/base-wire.js'

/** How deployed programs leave: none of them sends a Close frame. */
const ENDS: readonly (readonly [how: string, end: (link: BaseLink) => void])[] = [
  ['the end of the TCP connection without a Close frame', (link) => link.drop()],
  ['a TCP reset', (link) => link.reset()],
  ['a Close frame', (link) => link.close()],
]

describe.each(SOCKS_SIDES)('%s that leaves', (_, open) => {
  const scene = sceneOfSuite()
  let side: SocksSide
  let exit: BaseLink
  beforeAll(async () => {
    side = await open(scene)
    exit = side.exit
  })

  it.each(ENDS)('by %s: resets every stream, and serves through the next link', async (__, end) => {
    const streams = [await openChannel(scene, side, exit), await openChannel(scene, side, exit)]
    const reads = streams.map(({ app }) => new Recorder(app))
    for (const { id } of streams) exit.send(data(id, 'begun'))
    for (const read of reads) await read.until(5)
    end(exit)
    for (const read of reads) await read.reset()
    for (const read of reads) expect(read.text).toBe('begun')

    exit = await side.again()
    const { app, id } = await openChannel(scene, side, exit)
    app.write('again')
    expect((await exit.bytesOf(id, 5)).toString()).toBe('again')
    app.destroy()
  })
})

describe.each(EXIT_SIDES)('%s that leaves', (_, open) => {
  const scene = sceneOfSuite()
  let side: ExitSide
  let asker: BaseLink
  beforeAll(async () => {
    side = await open(scene)
    asker = side.asker
  })

  it.each(ENDS)('by %s: resets every connection to a target', async (__, end) => {
    const target = await Target.open(scene)
    const begun = [await openTarget(asker, target), await openTarget(asker, target)]
    const reads = begun.map(({ app }) => new Recorder(app))
    for (const { id } of begun) asker.send(data(id, 'begun'))
    for (const read of reads) await read.until(5)
    end(asker)
    for (const read of reads) await read.reset()
    for (const read of reads) expect(read.text).toBe('begun')

    asker = await side.again()
    const { app, id } = await openTarget(asker, target)
    app.write('again')
    expect((await asker.bytesOf(id, 5)).toString()).toBe('again')
    app.destroy()
  })

  it('leaves no connection behind when the asker goes while the target is being dialled', async () => {
    const target = await Target.open(scene)
    asker.send(connect(newId(), '127.0.0.1', target.port))
    asker.drop()
    asker = await side.again()
    // what was dialled for the link before came first
    const { app } = await openTarget(asker, await Target.open(scene))
    for (const orphan of target.sockets) await new Recorder(orphan).ended()
    app.destroy()
  })
})
