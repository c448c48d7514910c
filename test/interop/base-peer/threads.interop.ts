import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { type Scene, sceneOfTest, sha256 } from '../../support/e2e/scene.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { freePort } from '../../support/ports.js'
import { eventually, within } from '../../support/wait.js'
import { Recorder } from '../peers/base-recorder.js'
import { Target } from '../peers/base-sides.js'
import { connect, connected, data, disconnect, newId } from '../peers/base-wire.js'
import { HeldClock } from '../peers/held-clock.js'
import { SpreadClient } from '../peers/spread-client.js'

// Release 1.10.3 with -T 4 sends every message over the next of its links, those of one channel included.

const THREADS = 4
const MIB = 1024 * 1024
const BULK = randomBytes(20 * MIB)
/** As much of it as a deployed client puts into one message. */
const PIECE = 64 * 1024
const SMALL_STREAMS = 20
/** From the first attempt after the held link fell silent. */
const BACK_WITHIN_MS = 5_000
/** After so long our server gives up a held link. */
const SILENCE_MS = 3_000
/** From then on such a client tries again what was refused, and a link without a channel gives its place up. */
const SECOND_TRY_MS = 700
const SECOND_TRY_END_MS = 3_000
/** When it has ended whatever the server takes for a round trip: its clock stands still during one, and jumps. */
const SECOND_TRY_OVER_MS = SECOND_TRY_END_MS + 4 * SILENCE_MS
/** A WebSocket that was closed without an answer. */
const UNANSWERED = 1001

const pieces = (bytes: Buffer): readonly Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / PIECE) }, (_, index) =>
    bytes.subarray(index * PIECE, (index + 1) * PIECE),
  )

/** One stream between an application and a target: the scripted client has one end, `socket` is the other. */
interface Stream {
  readonly id: string
  readonly socket: Socket
}

interface Role {
  readonly client: SpreadClient
  open(): Promise<Stream>
}

type Form = 'url' | 'in-band'
type Start = (scene: Scene, form: Form, clock?: HeldClock) => Promise<Role>

/** The client asks; a target in this process is where the stream leads. */
async function asking(scene: Scene, client: SpreadClient): Promise<Role> {
  const target = await Target.open(scene)
  const open = async (): Promise<Stream> => {
    const id = newId()
    client.send(connect(id, '127.0.0.1', target.port))
    expect((await client.next('connectResponse', id)).success).toBe(true)
    return { id, socket: await target.next() }
  }
  return { client, open }
}

const forward: Start = async (scene, form, clock) => {
  const { url } = await scene.server(['-t', 'F'], { env: clock?.env() ?? {} })
  return asking(scene, new SpreadClient(scene, { url, token: 'F', reverse: false, form, threads: THREADS }))
}

const connector: Start = async (scene, form, clock) => {
  const { url } = await scene.server(['-r', '-t', 'P', '-p', '0', '-c', 'C'], { env: clock?.env() ?? {} })
  await scene.provider(url, ['-t', 'P'])
  return asking(scene, new SpreadClient(scene, { url, token: 'C', reverse: false, form, threads: THREADS }))
}

const provider: Start = async (scene, form, clock) => {
  const socksPort = await freePort()
  const { url } = await scene.server(['-r', '-t', 'P', '-p', `${socksPort}`, '--socks-nowait'], {
    env: clock?.env() ?? {},
  })
  const client = new SpreadClient(scene, { url, token: 'P', reverse: true, form, threads: THREADS })
  let asked = 0
  const open = async (): Promise<Stream> => {
    asked += 1
    const host = `nowhere-${asked}.test`
    const opening = socksConnect(scene, socksPort, [host, 80])
    opening.catch(() => {})
    const { id } = await client.until(`connect to ${host}`, () =>
      client.received.find(({ kind, place }) => kind === 'connect' && place.host === host),
    )
    client.send(connected(id))
    return { id, socket: await opening }
  }
  return { client, open }
}

const ROLES: readonly (readonly [string, Start])[] = [
  ['forward client', forward],
  ['provider', provider],
  ['connector', connector],
]
const FORMS: readonly (readonly [Form, number])[] = [
  ['url', 503],
  ['in-band', UNANSWERED],
]

/** A refused attempt in the URL form has no WebSocket that messages could go to: it may come at any time. */
const retries = (form: Form, client: SpreadClient): void => {
  if (form === 'url') client.connect()
}

async function expectSmallStreams({ client, open }: Role, form: Form): Promise<void> {
  for (let turn = 0; turn < SMALL_STREAMS; turn += 1) {
    const { id, socket } = await open()
    retries(form, client)
    client.send(data(id, `question `), data(id, `${turn}`))
    expect((await readBytes(socket, `question ${turn}`.length)).toString()).toBe(`question ${turn}`)
    socket.write(`answer ${turn}`)
    expect((await client.bytesOf(id, `answer ${turn}`.length)).toString()).toBe(`answer ${turn}`)
    client.send(disconnect(id, 'EOF'))
    socket.destroy()
  }
}

async function expectBulk({ client, open }: Role, form: Form): Promise<void> {
  const { id, socket } = await open()
  const seen = new Recorder(socket)
  for (const [index, piece] of pieces(BULK).entries()) {
    client.send(data(id, piece))
    if (index % 64 === 0) retries(form, client)
  }
  expect(sha256((await seen.until(BULK.length)).subarray(0, BULK.length))).toBe(sha256(BULK))
  socket.write(BULK)
  retries(form, client)
  expect(sha256(await client.bytesOf(id, BULK.length))).toBe(sha256(BULK))
  client.send(disconnect(id, 'EOF'))
  expect(await seen.ended()).toBe('end')
  socket.destroy()
}

describe.each(ROLES)('a %s of release 1.10.3 with four links', (_, start) => {
  const scene = sceneOfTest()

  describe.each(FORMS)('and the %s form of authentication', (form, refusal) => {
    it('has one of them, and moves small streams and 20 MB each way over it', async () => {
      // its time stands still: it is not the time of the second try
      const role = await start(scene, form, await HeldClock.open(scene))
      const { client } = role
      client.connect()
      await client.settled()
      await expectSmallStreams(role, form)
      await expectBulk(role, form)
      const { socket } = await role.open()
      client.connect()
      await client.settled()
      await expectSmallStreams(role, form)
      expect(new Set(client.refusals)).toEqual(new Set([refusal]))
      expect(client.links).toHaveLength(1)
      expect(socket.destroyed).toBe(false)
    })

    it('is back within 5 s when its link falls silent', async () => {
      const clock = await HeldClock.open(scene)
      const role = await start(scene, form, clock)
      const { client } = role
      client.connect()
      await client.settled()
      const held = client.admitted ?? expect.unreachable()
      await clock.advance(SECOND_TRY_OVER_MS)
      client.fallSilent()
      client.connect()
      await client.pinged()
      await clock.advance(SILENCE_MS - 1)
      expect(held.isClosed).toBe(false)
      await clock.advance(2)
      await client.until('new link', () => (client.admitted !== held && client.admitted) || undefined)
      expect(SILENCE_MS).toBeLessThan(BACK_WITHIN_MS)
      await within(held.closed, 'end of the silent link')
      await client.settled()
      await expectSmallStreams(role, form)
    })

    it('tries again, and has another one of them in place of one without a channel', async () => {
      const clock = await HeldClock.open(scene)
      const role = await start(scene, form, clock)
      const { client } = role
      client.connect()
      await client.settled()
      const first = client.admitted ?? expect.unreachable()
      // its fractions of milliseconds do not add up exactly
      await clock.advance(SECOND_TRY_MS + 1)
      client.connect()
      await client.until('other link', () => client.admitted !== first || undefined)
      await clock.advance(SECOND_TRY_END_MS)
      await client.settled()
      expect(first.isClosed).toBe(true)
      await expectSmallStreams(role, form)
    })
  })
})

describe('a client of release 1.10.3 that does not wait', () => {
  const scene = sceneOfTest()

  it('may send before its AuthResponse: nothing of that is lost', async () => {
    const { url } = await scene.server(['-t', 'F'])
    const target = await Target.open(scene)
    const options = { url, token: 'F', reverse: false, form: 'url', threads: THREADS } as const
    const client = new SpreadClient(scene, options)
    client.connect()
    await client.until('link', () => client.links.length > 0 || undefined)
    const id = newId()
    client.send(connect(id, '127.0.0.1', target.port), ...pieces(BULK.subarray(0, MIB)).map((piece) => data(id, piece)))
    const seen = new Recorder(await target.next())
    expect(sha256(await seen.until(MIB))).toBe(sha256(BULK.subarray(0, MIB)))
  })
})

describe('a Resume of release 1.10.3', () => {
  const scene = sceneOfTest()

  it('for a channel that is there is not answered and opens nothing', async () => {
    const { client, open } = await forward(scene, 'url')
    client.connect()
    await client.settled()
    const { id, socket } = await open()
    const before = client.received.length
    client.send(Buffer.concat([connect(id, '127.0.0.1', 9), Buffer.of(1)]), data(id, 'goes on'))
    expect((await readBytes(socket, 7)).toString()).toBe('goes on')
    socket.write('both ways')
    expect((await client.bytesOf(id, 9)).toString()).toBe('both ways')
    expect(client.received.slice(before).map(({ kind }) => kind)).toEqual(['data'])
  })
})

describe('our own client with four threads', () => {
  const scene = sceneOfTest()

  it('keeps its four links', async () => {
    const { url, process } = await scene.server(['-t', 'F'])
    await scene.listener(url, ['-t', 'F', '-T', `${THREADS}`])
    await eventually('four links', () => process.events('link.admitted').length === THREADS || undefined)
    expect(process.events('link.rejected')).toEqual([])
  })
})
