import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { sceneOfTest } from '../support/e2e-scene.js'
import { readBytes } from '../support/e2e-socks.js'
import { echoTarget, errorOf, readAll, tcpTarget } from '../support/e2e-targets.js'
import { eventually } from '../support/wait.js'
import { CuttingRelay, type PathOptions } from './cutting-relay.js'
import { content } from './transfer.js'

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
    await eventually('reset at the target', () => ends.length > 0 || undefined)
    expect(ends).toMatchObject([{ code: 'ECONNRESET' }])
    expect(await echo(scene.connect(relay.port), 'after')).toBe('after')
  })

  it('passes nothing of a dropped connection any more, not even its end, and tells nobody', async () => {
    const { relay, socket } = await echoing()
    expect(await echo(socket, 'before')).toBe('before')
    relay.drop()
    socket.end('lost')
    const ended = readAll(socket).then(
      () => 'ended',
      () => 'failed',
    )
    expect(await Promise.race([ended, sleep(200, 'silent')])).toBe('silent')
    relay.heal()
    expect(await echo(scene.connect(relay.port), 'after')).toBe('after')
    expect(await Promise.race([ended, sleep(100, 'silent')])).toBe('silent')
    relay.cut()
  })

  it('holds back while it is stalled and loses nothing', async () => {
    const { relay, socket } = await echoing()
    expect(await echo(socket, 'before')).toBe('before')
    relay.stall()
    const late = echo(socket, 'late')
    expect(await Promise.race([late, sleep(200, 'held')])).toBe('held')
    relay.go()
    expect(await late).toBe('late')
  })

  it('delays each piece, keeps their order, and limits the rate', async () => {
    const { socket } = await echoing({ delayMs: 60 })
    const began = performance.now()
    expect(await echo(socket, 'there and back')).toBe('there and back')
    expect(performance.now() - began).toBeGreaterThan(110)
    const { socket: slow } = await echoing({ rate: 1_000_000, delayMs: 5 })
    const body = content(300_000)
    const since = performance.now()
    slow.end(body)
    expect((await readAll(slow)).equals(body)).toBe(true)
    expect(performance.now() - since).toBeGreaterThan(280)
  })

  it('splits what passes into single bytes', async () => {
    const lengths: number[] = []
    const target = await tcpTarget(scene, (socket) => socket.on('data', ({ length }) => lengths.push(length)))
    const relay = await CuttingRelay.open(scene, target, { singleBytes: true })
    const socket = scene.connect(relay.port)
    const bytes = (): number => lengths.reduce((sum, length) => sum + length, 0)
    // what comes before the target has accepted the connection comes together
    socket.write('a')
    await eventually('the first byte', () => bytes() === 1 || undefined)
    socket.end('byte by byte')
    await eventually('all of it', () => bytes() === 13 || undefined)
    expect(lengths).toEqual(new Array(13).fill(1))
  })
})
