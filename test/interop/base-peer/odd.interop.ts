import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import { eventually } from '../../support/wait.js'
import { Recorder } from '../peers/base-recorder.js'
import {
  askChannel,
  BOTH_ENDS,
  type End,
  EXIT_SIDES,
  type ExitSide,
  openChannel,
  openTarget,
  SOCKS_SIDES,
  type SocksSide,
  Target,
} from '../peers/base-sides.js'
import {
  admitted,
  auth,
  connect,
  connected,
  connectorAdded,
  data,
  disconnect,
  log,
  NEWER_VERSION,
  newId,
  partners,
  refused,
  rejected,
} from '../peers/base-wire.js'

/** A Resume of 0, as release 1.10.2 writes it behind Connect, and what nobody writes. */
const LEFTOVERS = Buffer.from('\x00\xff\x01leftovers', 'latin1')
const HOSTILE = `\x1b[2J\x1b]0;owned\x07\u202egnihtyna\u2028\r\n{"level":"error"}${'x'.repeat(60_000)}`
/** Lines that the text of a peer may fill before it is held back, with room for others. */
const MAX_LINES = 100
const NOT_UTF8 = Buffer.of(0xff, 0xfe, 0xc3, 0x28, 0x80)

/** What deployed peers may send at any time, and what none should. */
const UNSOLICITED: readonly (readonly [what: string, messages: readonly Buffer[]])[] = [
  ['Auth again', [auth('P', true, newId()), auth('nobody', false, newId())]],
  ['AuthResponse again, of either kind', [admitted(), admitted('P'), rejected('invalid token')]],
  ['Partners, sound and broken', [partners(3), partners(-1), partners('many'), Buffer.of(1, 10, 0, 0, 0, 9, 0x7b)]],
  ['Log, sound and broken', [log('debug', 'text'), log('no level', ''), Buffer.of(1, 9, 0, 0, 0, 1, 0x7b)]],
  ['answers nobody asked for', [connectorAdded(newId(), 'C'), connected(newId()), refused(newId(), 'no')]],
  ['an end of nothing', [disconnect(newId()), disconnect(newId(), 'EOF'), disconnect(newId(), 'an error')]],
  ['types of the direct mode', [11, 12, 13, 14, 15, 16, 17].map((type) => Buffer.of(1, type, 0, 0, 0, 2, 0x7b, 0x7d))],
  ['types that nobody knows', [0x00, 0x12, 0x20, 0xf0, 0xff].map((type) => Buffer.of(1, type, 1, 2, 3))],
]

describe.each(BOTH_ENDS)('%s that is odd', (_, start) => {
  const scene = sceneOfSuite()
  let end: End
  beforeAll(async () => {
    end = await start(scene)
  })
  const log0 = () => {
    const [first] = end.processes
    if (first === undefined) throw new Error('no process of ours')
    return first
  }

  /** A stream that was open before goes on, and a new one opens. */
  async function expectServing(act: () => void): Promise<void> {
    const before = await end.open()
    act()
    for (const { app, id } of [before, await end.open()]) {
      end.link.send(data(id, 'down'))
      expect((await new Recorder(app).until(4)).toString()).toBe('down')
      app.write('up')
      expect((await end.link.bytesOf(id, 2)).toString()).toBe('up')
      app.destroy()
    }
  }

  it.each(UNSOLICITED)('may send %s', async (__, messages) => {
    await expectServing(() => end.link.send(...messages))
  })

  it('may have bytes behind the fields of its messages', async () => {
    const { app, id } = await end.open()
    const read = new Recorder(app)
    const long = [data(id, 'all '), data(id, 'of it'), disconnect(id, 'EOF')]
    end.link.send(...long.map((message) => Buffer.concat([message, LEFTOVERS])))
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('all of it')
  })

  it.each([
    ['is longer than its length says', 'x'.repeat(300)],
    ['is not UTF-8', NOT_UTF8],
    ['would command a terminal', HOSTILE.slice(0, 200)],
  ])('may end a channel with a text that %s', async (__, error) => {
    const { app, id } = await end.open()
    end.link.send(data(id, 'before'), disconnect(id, error))
    const read = new Recorder(app)
    await read.reset()
    expect(read.text).toMatch(/^(before)?$/)
    await expectServing(() => {})
  })

  // the last two: from here on the link speaks otherwise, or is gone
  it('may write the minor version of release 1.10 into every message', async () => {
    end.link.version = NEWER_VERSION
    await expectServing(() => {})
    await log0().event('session.version', { version: NEWER_VERSION })
    expect(end.link.received.every((message) => message.version === 1)).toBe(true)
  })

  it('loses its link, and only that, when it speaks another major version', async () => {
    const { app, id } = await end.open()
    const read = new Recorder(app)
    end.link.version = 0x21
    end.link.send(data(id, 'not understood'))
    await read.reset()
    await end.link.closed
    const { reason } = await log0().event('session.violation', { code: 'ERR_MESSAGE_VERSION' })
    expect(String(reason)).toMatch(/version/)
  })
})

describe.each([BOTH_ENDS[0], BOTH_ENDS[4]].filter((end) => end !== undefined))('%s that talks', (_, start) => {
  const scene = sceneOfSuite()

  it('reaches no terminal, and fills no log', async () => {
    const { link, processes, open } = await start(scene)
    const [process] = processes
    const lines = process?.log.length ?? 0
    link.send(...Array.from({ length: 1_000 }, () => log('error', HOSTILE)))
    const { app, id } = await open()
    link.send(data(id, 'goes on'))
    await new Recorder(app).until(7)
    expect(process?.stderr).not.toMatch(/\\u001b|\\u0007|\\r|\u202e|\u2028/)
    expect((process?.log.length ?? 0) - lines).toBeLessThan(MAX_LINES)
  })
})

describe.each(SOCKS_SIDES)('%s that is odd', (_, open) => {
  const scene = sceneOfSuite()
  let side: SocksSide
  beforeAll(async () => {
    side = await open(scene)
  })

  it.each([
    ['is longer than its length says', 'x'.repeat(300)],
    ['is 256 bytes long', 'x'.repeat(256)],
    ['is not UTF-8', NOT_UTF8],
    ['would command a terminal', HOSTILE.slice(0, 200)],
  ])('may refuse with a text that %s', async (__, error) => {
    const { opening, id } = await askChannel(scene, side, side.exit)
    side.exit.send(refused(id, error))
    await expect(opening).rejects.toThrow('SOCKS reply 1')
    const { app } = await openChannel(scene, side)
    app.destroy()
  })

  it('may have bytes behind a ConnectResponse', async () => {
    const { opening, id } = await askChannel(scene, side, side.exit)
    side.exit.send(Buffer.concat([connected(id), LEFTOVERS]), data(id, 'hello'))
    expect((await new Recorder(await opening).until(5)).toString()).toBe('hello')
  })
})

describe.each(EXIT_SIDES)('%s that is odd', (_, open) => {
  const scene = sceneOfSuite()
  let side: ExitSide
  let target: Target
  beforeAll(async () => {
    target = await Target.open(scene)
    side = await open(scene)
  })

  it('may send text frames', async () => {
    // a text frame holds UTF-8: an id of letters, and no port
    const id = Buffer.from('sixteen letters.').toString('hex')
    side.asker.send(connect(id, '127.0.0.1', target.port))
    expect((await side.asker.next('connectResponse', id)).success).toBe(true)
    const read = new Recorder(await target.next())
    side.asker.sendText(data(id, 'as text'))
    side.asker.sendText(disconnect(id, 'EOF'))
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('as text')
  })

  it('may have bytes behind a Connect', async () => {
    const id = newId()
    side.asker.send(Buffer.concat([connect(id, '127.0.0.1', target.port), LEFTOVERS]), data(id, 'hello'))
    expect((await side.asker.next('connectResponse', id)).success).toBe(true)
    expect((await new Recorder(await target.next()).until(5)).toString()).toBe('hello')
  })

  it('is told that a channel of a lost link is gone: release 1.10.2 asks by a byte behind Connect', async () => {
    const [id, begun] = [newId(), target.sockets.length]
    side.asker.send(Buffer.concat([connect(id, '127.0.0.1', target.port), Buffer.of(1)]))
    expect((await side.asker.next('disconnect', id)).error).not.toMatch(/^(EOF)?$/)
    const { app } = await openTarget(side.asker, await Target.open(scene))
    expect(target.sockets).toHaveLength(begun)
    app.destroy()
  })

  it.each([
    ['a name that is not UTF-8', connect(newId(), NOT_UTF8, 80)],
    ['no name', connect(newId(), '', 80)],
    ['port 0', connect(newId(), '127.0.0.1', 0)],
    ['a protocol that nobody knows', Buffer.concat([Buffer.of(1, 3, 9), Buffer.from(newId(), 'hex')])],
  ])('is told that %s leads nowhere', async (__, message) => {
    side.asker.send(message)
    const { success, error } = await side.asker.next('connectResponse', message.subarray(3, 19).toString('hex'))
    expect([success, error]).toEqual([false, expect.stringMatching(/./)])
    const { app } = await openTarget(side.asker, target)
    app.destroy()
    await eventually('end of the target', () => app.destroyed || undefined)
  })
})
