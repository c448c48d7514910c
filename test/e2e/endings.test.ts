import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTunnel } from '../support/e2e/modes.js'
import { sceneOfSuite, sha256 } from '../support/e2e/scene.js'
import { readBytes, socksAddress, socksConnect } from '../support/e2e/socks.js'
import { echoTarget, errorOf, readAll, tcpTarget } from '../support/e2e/targets.js'
import { until, untilStill } from '../support/wait.js'

const content = randomBytes(3 * 1024 * 1024)
const BLOCK = 64 * 1024

describe.each(['forward', 'agent'] as const)('a stream in %s mode', (mode) => {
  const scene = sceneOfSuite()
  let socksPort = 0
  beforeAll(async () => {
    socksPort = (await startTunnel(scene, mode)).socksPort
  })
  const open = (port: number): Promise<Socket> => socksConnect(scene, socksPort, ['127.0.0.1', port])

  it('answers in full after the client has ended its side', async () => {
    const port = await tcpTarget(scene, (socket) => {
      const hash = createHash('sha256')
      socket.on('data', (chunk) => hash.update(chunk))
      socket.on('end', () => {
        socket.write(hash.digest('hex'))
        socket.end(content)
      })
    })
    const socket = await open(port)
    socket.end(content)
    const answer = await readAll(socket)
    expect(answer.subarray(0, 64).toString()).toBe(sha256(content))
    expect(sha256(answer.subarray(64))).toBe(sha256(content))
  })

  it('still takes what the client sends after the target has ended its side', async () => {
    let received: Promise<Buffer> | undefined
    const port = await tcpTarget(scene, (socket) => {
      socket.end('that was all')
      received = readAll(socket)
    })
    const socket = await open(port)
    expect((await readAll(socket)).toString()).toBe('that was all')
    socket.end(content)
    expect(sha256((await received) ?? '')).toBe(sha256(content))
  })

  it('passes on a reset by the target', async () => {
    const port = await tcpTarget(scene, (socket) => socket.once('data', () => socket.resetAndDestroy()))
    const socket = await open(port)
    const error = errorOf(socket)
    socket.write('go')
    expect(await error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('passes on a reset by the client', async () => {
    let error: Promise<unknown> | undefined
    const port = await tcpTarget(scene, (socket) => {
      error = errorOf(socket)
      socket.write('hello')
    })
    const socket = await open(port)
    await readBytes(socket, 5)
    socket.resetAndDestroy()
    expect(await error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('delivers a large answer whole to a client that has ended its side and reads late', async () => {
    let knows = false
    let taken = 0
    const port = await tcpTarget(scene, (socket) => {
      socket.resume().on('end', () => (knows = true))
      for (let at = 0; at < content.length; at += BLOCK) {
        socket.write(content.subarray(at, at + BLOCK), () => (taken += BLOCK))
      }
      socket.end()
    })
    const socket = await open(port)
    socket.end()
    await until(() => knows && taken > 0)
    // as far as it comes without being read
    await untilStill(() => taken)
    expect(sha256(await readAll(socket))).toBe(sha256(content))
  })

  it('brings what a target says first', async () => {
    const port = await tcpTarget(scene, (socket) => socket.write('220 ready\r\n'))
    for (let turn = 0; turn < 20; turn++) {
      const socket = await open(port)
      expect((await readBytes(socket, 11)).toString()).toBe('220 ready\r\n')
      socket.destroy()
    }
  })

  it('keeps data that shares a segment with the request', async () => {
    const port = await echoTarget(scene)
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', port], { early: content.subarray(0, 20_000) })
    socket.end(content.subarray(20_000))
    expect(sha256(await readAll(socket))).toBe(sha256(content))
  })

  it('keeps data of a client that waits for no answer at all', async () => {
    const port = await echoTarget(scene)
    const socket = scene.connect(socksPort)
    const request = Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0), socksAddress('127.0.0.1', port)])
    socket.end(Buffer.concat([request, Buffer.from('in one segment')]))
    const answer = await readAll(socket)
    expect(answer.subarray(0, 4)).toEqual(Buffer.of(5, 0, 5, 0))
    expect(answer.subarray(12).toString()).toBe('in one segment')
  })
})
