import { Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { sceneOfTest } from '../support/e2e/scene.js'
import { readBytes } from '../support/e2e/socks.js'
import { echoTarget, errorOf, readAll, tcpTarget } from '../support/e2e/targets.js'
import { until, untilPasses, untilStill } from '../support/wait.js'
import { CuttingRelay, type PathOptions } from './cutting-relay.js'
import { content } from './transfer.js'

/** What one side of a connection hears: its data, its end, and the code of the error that ends it. */
function noted(socket: Socket): readonly unknown[] {
  const heard: unknown[] = []
  socket.on('data', (bytes) => heard.push(`${bytes}`)).on('end', () => heard.push('end'))
  socket.on('error', (error: NodeJS.ErrnoException) => heard.push(error.code))
  return heard
}

describe('CuttingRelay', () => {
  const scene = sceneOfTest()

  async function echoing(path: PathOptions = {}): Promise<{ relay: CuttingRelay; socket: Socket }> {
    const relay = await CuttingRelay.open(scene, await echoTarget(scene), path)
    return { relay, socket: scene.connect(relay.port) }
  }

  async function echo(socket: Socket, text: string): Promise<string> {
    socket.write(text)
    return (await readBytes(socket, text.length)).toString()
  }

  it('carries both directions and both half-closes', async () => {
    const { socket } = await echoing()
    const body = content(3_000_000)
    socket.end(body)
    expect((await readAll(socket)).equals(body)).toBe(true)
  })

  it('resets both sides of a connection at a cut, and takes the next', async () => {
    const ends: unknown[] = []
    const target = await tcpTarget(scene, (socket) => socket.on('error', (error) => ends.push(error)).pipe(socket))
    const relay = await CuttingRelay.open(scene, target)
    const socket = scene.connect(relay.port)
    expect(await echo(socket, 'before')).toBe('before')
    const error = errorOf(socket)
    expect(relay.cut()).toBe(1)
    expect(await error).toMatchObject({ code: 'ECONNRESET' })
    await until(() => ends.length > 0)
    expect(ends).toMatchObject([{ code: 'ECONNRESET' }])
    expect(await echo(scene.connect(relay.port), 'after')).toBe('after')
  })

  it('passes nothing of a dropped connection any more, not even its end, and tells nobody', async () => {
    const far: unknown[] = []
    const target = await tcpTarget(scene, (socket) => {
      far.push(noted(socket))
      socket.pipe(socket)
    })
    const relay = await CuttingRelay.open(scene, target)
    const socket = scene.connect(relay.port)
    const near = noted(socket)
    socket.write('before')
    await until(() => near.length > 0)
    relay.drop()
    socket.end('lost')
    await until(() => relay.lost === 'lost'.length + 1)
    relay.heal()
    expect(await echo(scene.connect(relay.port), 'after')).toBe('after')
    relay.cut()
    // the reset is the first that either side hears since
    await untilPasses(() => {
      expect(near).toEqual(['before', 'ECONNRESET'])
      expect(far[0]).toEqual(['before', 'ECONNRESET'])
    })
  })

  it('holds back while it is stalled and loses nothing', async () => {
    const heard: unknown[] = []
    const target = await tcpTarget(scene, (socket) => {
      socket.on('data', (bytes) => heard.push(`${bytes}`))
      socket.pipe(socket)
    })
    const relay = await CuttingRelay.open(scene, target)
    const socket = scene.connect(relay.port)
    expect(await echo(socket, 'before')).toBe('before')
    relay.stall()
    const late = echo(socket, 'late')
    await until(() => relay.held === 1)
    await untilStill(() => heard.length)
    expect(heard).toEqual(['before'])
    relay.go()
    expect(await late).toBe('late')
  })

  it('tells when so many bytes have passed', async () => {
    const { relay, socket } = await echoing()
    let told = false
    const passed = relay.passed(20).then(() => (told = true))
    expect(await echo(socket, '9 there, 9')).toBe('9 there, 9')
    await passed
    void relay.passed(3).then(() => (told = false))
    await echo(socket, 'x')
    expect(told).toBe(true)
    await echo(socket, 'y')
    await until(() => !told)
  })

  it('delays each piece, keeps their order, and limits the rate', async () => {
    const { socket } = await echoing({ delayMs: 30 })
    const began = performance.now()
    expect(await echo(socket, 'there and back')).toBe('there and back')
    // a timer may come a millisecond early, and as late as it likes
    expect(performance.now() - began).toBeGreaterThan(55)
    const { socket: slow } = await echoing({ rate: 1_000_000, delayMs: 5 })
    const body = content(100_000)
    const since = performance.now()
    slow.end(body)
    expect((await readAll(slow)).equals(body)).toBe(true)
    expect(performance.now() - since).toBeGreaterThan(90)
  })

  it('splits what passes into single bytes', async () => {
    const received: Buffer[] = []
    const target = await tcpTarget(scene, (socket) => socket.on('data', (bytes: Buffer) => received.push(bytes)))
    const relay = await CuttingRelay.open(scene, target, { singleBytes: true })
    const socket = scene.connect(relay.port)
    socket.write('a')
    await until(() => received.length === 1)
    // how many of them one read of the target brings is up to the system: what the relay writes is looked at
    const write = vi.spyOn(Socket.prototype, 'write')
    const text = (): string => Buffer.concat(received).toString()
    try {
      socket.end('byte by byte')
      await until(() => text() === 'abyte by byte')
      const lengths = write.mock.calls.map(([bytes]) => (typeof bytes === 'string' ? bytes.length : bytes.byteLength))
      expect(lengths).toEqual(new Array(12).fill(1))
    } finally {
      write.mockRestore()
    }
  })
})
