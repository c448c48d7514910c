import { describe, expect, it } from 'vitest'
import { settle } from '../../support/manual-clock.js'
import { MemoryProxy } from './memory-proxy.js'

const GET = 'GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n'
const BEGINNING = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

/** A client that asked, got the beginning of an answer, and ended its side. */
async function halfClosed() {
  const proxy = new MemoryProxy()
  proxy.client.send(GET)
  await proxy.quiet()
  const [origin] = proxy.origins
  if (origin === undefined) throw new Error('nothing was dialled')
  origin.send(BEGINNING)
  await proxy.quiet()
  proxy.client.end()
  await proxy.quiet()
  return { proxy, origin }
}

describe('a client that has ended its side', () => {
  it('is given up with its origin when nothing is written to it for 60 s', async () => {
    const { proxy, origin } = await halfClosed()
    proxy.clock.advance(59_999)
    await proxy.quiet()
    expect([origin.state, proxy.client.state]).toEqual(['open', 'open'])
    proxy.clock.advance(1)
    await proxy.quiet()
    expect([origin.state, proxy.client.state]).toEqual(['reset', 'reset'])
    expect(proxy.clock.pending).toBe(0)
  })

  it('is waited for while it reads slowly', async () => {
    const proxy = new MemoryProxy({ stalledClient: true })
    proxy.client.send(GET)
    await proxy.quiet()
    const [origin] = proxy.origins
    origin?.send(`HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n${'x'.repeat(4_000_000)}`)
    await proxy.quiet()
    proxy.client.end()
    await proxy.quiet()
    proxy.clock.advance(600_000)
    await proxy.quiet()
    expect([origin?.state, proxy.client.state]).toEqual(['open', 'open'])
  })

  it('gets an answer that takes its time, as long as something comes', async () => {
    const { proxy, origin } = await halfClosed()
    for (let minute = 0; minute < 5; minute += 1) {
      proxy.clock.advance(59_000)
      origin.send('1\r\nx\r\n')
      await proxy.quiet()
    }
    origin.send('0\r\n\r\n')
    await proxy.quiet()
    await settle()
    expect(proxy.client.latin1).toContain('1\r\nx\r\n'.repeat(5))
    expect(proxy.client.state).toBe('ended')
  })
})
