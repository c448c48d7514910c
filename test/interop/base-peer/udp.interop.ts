import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Scene, sceneOfSuite } from '../../support/e2e/scene.js'
import { socksAddress, socksRequest, UDP_ASSOCIATE } from '../../support/e2e/socks.js'
import { udpEcho } from '../../support/e2e/targets.js'
import { within } from '../../support/wait.js'
import { Recorder } from '../peers/base-recorder.js'
import { EXIT_SIDES, type ExitSide, openChannel, SOCKS_SIDES, type SocksSide } from '../peers/base-sides.js'
import { associate, connected, datagramFrom, datagramTo, disconnect, gzipped, newId, UDP } from '../peers/base-wire.js'

const QUESTION = Buffer.from('question')
const ANSWER = Buffer.alloc(1_000, 'answer ')

interface Association {
  readonly id: string
  readonly control: Recorder
  readonly end: () => void
  /** Sends to a destination through the association's port. */
  readonly send: (host: string, port: number, bytes: Buffer) => void
  /** The next datagram that comes back, header and all. */
  readonly next: () => Promise<Buffer>
}

async function bound(scene: Scene): Promise<Socket> {
  const socket = createSocket('udp4')
  scene.own(() => socket.close())
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return socket
}

async function openAssociation(scene: Scene, { socksPort, exit }: SocksSide): Promise<Association> {
  const before = exit.all('connect').length
  const opening = socksRequest(scene, socksPort, UDP_ASSOCIATE, ['0.0.0.0', 0])
  const ask = await exit.until('connect', () => exit.all('connect')[before])
  expect([ask.protocol, ask.place.host]).toEqual([UDP, ''])
  exit.send(connected(ask.id))
  const { socket: control, rep, port: relayPort } = await opening
  expect(rep).toBe(0)
  const udp = await bound(scene)
  const come: Buffer[] = []
  udp.on('message', (message) => come.push(message))
  return {
    id: ask.id,
    control: new Recorder(control),
    end: () => control.end(),
    send: (host, port, bytes) =>
      udp.send(Buffer.concat([Buffer.of(0, 0, 0), socksAddress(host, port), bytes]), relayPort, '127.0.0.1'),
    next: async () => {
      if (come.length === 0) await within(once(udp, 'message'), 'datagram')
      return come.shift() ?? Buffer.alloc(0)
    },
  }
}

const withHeader = (host: string, port: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.of(0, 0, 0), socksAddress(host, port), bytes])

describe.each(SOCKS_SIDES)('%s that carries datagrams', (_, open) => {
  const scene = sceneOfSuite()
  let side: SocksSide
  beforeAll(async () => {
    side = await open(scene)
  })

  it.each([
    ['an address', '127.0.0.9', 53],
    ['a name', 'dns.example', 65_535],
    ['an IPv6 address', '::1', 1],
  ])('gets destination and payload of what goes to %s', async (__, host, port) => {
    const { id, send, end } = await openAssociation(scene, side)
    send(host, port, QUESTION)
    const asked = await side.exit.next('data', id)
    expect(asked.raw.toString('hex')).toBe(datagramTo(id, { host, port }, QUESTION).toString('hex'))
    end()
    await side.exit.next('disconnect', id)
  })

  it('answers from where the datagram came, compressed or not, and for nobody else', async () => {
    const { id, send, next, end } = await openAssociation(scene, side)
    send('127.0.0.9', 53, QUESTION)
    await side.exit.next('data', id)
    side.exit.send(
      datagramFrom(newId(), { host: '127.0.0.9', port: 53 }, Buffer.from('not yours')),
      datagramFrom(id, { host: '127.0.0.9', port: 53 }, ANSWER),
      datagramFrom(id, { host: '127.0.0.8', port: 54 }, ANSWER, true),
      datagramFrom(id, { host: '::1', port: 55 }, Buffer.alloc(0), true),
      datagramFrom(id, { host: '::1', port: 56 }, Buffer.from('last')),
    )
    expect(await next()).toEqual(withHeader('127.0.0.9', 53, ANSWER))
    expect(await next()).toEqual(withHeader('127.0.0.8', 54, ANSWER))
    expect(await next()).toEqual(withHeader('::1', 55, Buffer.alloc(0)))
    expect(await next()).toEqual(withHeader('::1', 56, Buffer.from('last')))
    end()
    await side.exit.next('disconnect', id)
  })

  it('hears of the end of the association and needs to say nothing', async () => {
    const { id, end, control } = await openAssociation(scene, side)
    end()
    await side.exit.next('disconnect', id)
    await control.ended()
    // deployed exits never end it, and go on for a while
    side.exit.send(datagramFrom(id, { host: '127.0.0.9', port: 53 }, ANSWER), gzipped(id, 'late'))
    const { app } = await openChannel(scene, side)
    app.destroy()
  })

  it('may end the association all the same', async () => {
    const { id, control } = await openAssociation(scene, side)
    side.exit.send(disconnect(id, 'EOF'))
    await control.ended()
  })
})

describe.each(EXIT_SIDES)('%s that asks for datagrams', (_, open) => {
  const scene = sceneOfSuite()
  let side: ExitSide
  let port: number
  beforeAll(async () => {
    side = await open(scene)
    port = await udpEcho(scene, '127.0.0.1')
  })

  async function associated(): Promise<string> {
    const id = newId()
    side.asker.send(associate(id))
    expect((await side.asker.next('connectResponse', id)).success).toBe(true)
    return id
  }

  it.each([
    ['an address', '127.0.0.1', false],
    ['a name', 'localhost', false],
    ['an address, compressed', '127.0.0.1', true],
  ])('gets the answer of %s and who sent it', async (__, host, gzip) => {
    const id = await associated()
    side.asker.send(datagramTo(id, { host, port }, QUESTION, gzip))
    const answer = await side.asker.next('data', id)
    const expected = datagramFrom(id, { host: '127.0.0.1', port }, QUESTION)
    expect(answer.raw.toString('hex')).toBe(expected.toString('hex'))
    side.asker.send(disconnect(id))
  })

  it('has an association that lasts as long as it wants, and broken datagrams dropped', async () => {
    const id = await associated()
    const place = { host: '127.0.0.1', port }
    const broken = datagramTo(id, place, Buffer.from('fine'))
    broken[19] = 1
    side.asker.send(
      broken,
      datagramTo(newId(), place, Buffer.from('whose?')),
      datagramTo(id, { host: '', port }, QUESTION),
      datagramTo(id, { host: 'not a name', port: 0 }, QUESTION),
      datagramTo(id, place, Buffer.alloc(0)),
      datagramTo(id, place, ANSWER),
    )
    expect((await side.asker.next('data', id)).data.length).toBe(0)
    expect((await side.asker.next('data', id)).data).toEqual(ANSWER)
    side.asker.send(disconnect(id, 'EOF'))
    await side.asker.next('disconnect', id)
    side.asker.send(datagramTo(id, place, QUESTION))
    await associated()
    expect(side.asker.all('data', id)).toHaveLength(2)
  })
})
