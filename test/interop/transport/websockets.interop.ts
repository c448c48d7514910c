import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { sceneOfTest, sha256 } from '../../support/e2e/scene.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { echoTarget } from '../../support/e2e/targets.js'
import { eventually } from '../../support/wait.js'
import { startPeer } from '../support/mixed-tunnel.js'
import type { PeerProcess } from '../support/peer-process.js'

const MB = 1024 * 1024
const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))
const PYTHON = path('.venv/tools/bin/python')

const scene = sceneOfTest()

/** @param fragment bytes of each part of what it sends; 0: whole messages */
function relay(fragment: number, port = 0): PeerProcess {
  return startPeer(scene, [PYTHON, path('peers/ws_relay.py'), 'F', `${fragment}`, `${port}`])
}

/** The first line of a peer's output that says `event`. */
async function said(peer: PeerProcess, event: string): Promise<Record<string, unknown>> {
  const find = (): Record<string, unknown> | undefined => {
    const lines = peer.output.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
    return lines.map((line) => JSON.parse(line)).find((line) => line.event === event)
  }
  return await eventually(`'${event}'; the output is ${peer.tail}`, find)
}

describe.skipIf(!existsSync(PYTHON))('Python websockets', () => {
  it('as a client of our server: sees strict frames, its pings answered, its close answered', async () => {
    const server = await scene.server(['-t', 'F'])
    const echo = await echoTarget(scene)
    const peer = startPeer(scene, [PYTHON, path('peers/ws_client.py'), server.url, 'F', `${echo}`, `${8 * MB}`])
    expect(await peer.end(), peer.tail).toBe(0)
    expect(JSON.parse(peer.output)).toEqual({
      admitted: '010201',
      connected: true,
      whole: true,
      largest: expect.any(Number),
      extensions: [],
      subprotocol: null,
      closed: 3001,
      latency: expect.any(Number),
    })
    expect((await server.process.event('link.closed')).reason).toContain('3001')
  })

  it.each([
    ['whole messages', 0],
    ['messages in parts', 777],
  ])('as a server of our client, sending %s: sees strict frames and its pings answered', async (_what, fragment) => {
    const peer = relay(fragment)
    const { port } = await said(peer, 'port')
    const { process, socksPort } = await scene.listener(`ws://127.0.0.1:${port}`, ['-t', 'F', '--drain-timeout', '0'])
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', 9])
    const content = randomBytes(8 * MB)
    socket.write(content)
    expect(sha256(await readBytes(socket, content.length))).toBe(sha256(content))
    expect(await said(peer, 'link')).toEqual({ event: 'link', admitted: true, offered: [] })
    // an answer to each of its pings: without one the link would have ended
    await said(peer, 'pongs')
    socket.write('still there')
    expect((await readBytes(socket, 11)).toString()).toBe('still there')
    expect(process.events('link.down')).toEqual([])
    expect(await process.end('SIGTERM')).toBe(0)
    const { code, largest, latency, error } = await said(peer, 'end')
    expect({ code, error }).toEqual({ code: expect.toBeOneOf([1000, 1001]), error: 'None' })
    expect(latency).toBeGreaterThan(0)
    expect(largest).toBeGreaterThan(1_000)
  })

  it('as a server that is restarted: closes with 1001, and our client comes back', async () => {
    const first = relay(0)
    const { port } = await said(first, 'port')
    const { process, socksPort } = await scene.listener(`ws://127.0.0.1:${port}`, ['-t', 'F', '--drain-timeout', '0'])
    await process.event('link.up')
    expect(await first.end('SIGTERM')).toBe(0)
    expect((await process.event('link.down')).reason).toContain('1001')
    const second = relay(0, Number(port))
    await said(second, 'link')
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', 9])
    socket.write('back')
    expect((await readBytes(socket, 4)).toString()).toBe('back')
  })
})
