import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { CA_FILE } from '../../bench/lib/tls-files.mjs'
import { atEnd } from '../support/at-end.js'
import { freePort } from '../support/ports.js'
import { eventually, within } from '../support/wait.js'

const HOP = new URL('../../bench/subjects/tls-hop.mjs', import.meta.url).pathname
const HOST = '127.0.0.1'

/** What is between the hops that `places` names, and how the last one answers. */
async function startHops(places: readonly string[]): Promise<readonly number[]> {
  const origin = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, HOST)
  atEnd(() => origin.close())
  await once(origin, 'listening')
  const ports: number[] = []
  let to = portOf(origin)
  for (const place of [...places].reverse()) {
    const port = await freePort()
    startHop(port, to, place)
    await eventually(`hop at ${port}`, async () => (await accepts(port)) || undefined)
    ports.unshift(port)
    to = port
  }
  return ports
}

function startHop(port: number, to: number, place: string): void {
  const child = spawn(process.execPath, [HOP, `${port}`, `${to}`, place], { stdio: 'ignore' })
  atEnd(() => child.kill('SIGKILL'))
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, HOST)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** What comes back of `bytes` and an end. */
async function echoOf(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: HOST, allowHalfOpen: true })
  atEnd(() => socket.destroy())
  socket.end(bytes)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

describe('plain relay over TLS', () => {
  it.each([[['first', 'last']], [['first', 'middle', 'last']]])('carries bytes and their end: %j', async (places) => {
    const [port = 0] = await startHops(places)
    const bytes = Buffer.alloc(1_000_000, 'a pattern of bytes')
    expect((await within(echoOf(port, bytes), 'echo')).equals(bytes)).toBe(true)
  })

  it('speaks TLS 1.3 between the hops', async () => {
    const [, middle = 0, last = 0] = await startHops(['first', 'middle', 'last'])
    for (const port of [middle, last]) {
      const socket = connectTls({ port, host: HOST, ca: readFileSync(CA_FILE) })
      atEnd(() => socket.destroy())
      await within(once(socket, 'secureConnect'), 'TLS')
      expect(socket.getProtocol()).toBe('TLSv1.3')
    }
  })
})
