import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { RESPONSE_STALL_MS, writeResponse } from '../../../src/node/http/http-exchange.js'

/** A body without an end, which knows whether it was given up. */
function endless() {
  const seen = { cancelled: false }
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
    cancel: () => {
      seen.cancelled = true
    },
  })
  return { body, seen }
}

describe('writeResponse', () => {
  const ends: (() => void)[] = []
  afterEach(() => {
    for (const end of ends.splice(0)) end()
  })

  /** A client that asks and reads nothing, and what it was answered with. */
  async function ask(
    answer: (out: ServerResponse) => Promise<void>,
  ): Promise<{ done: Promise<void>; out: ServerResponse }> {
    const server = createServer().listen(0, '127.0.0.1')
    ends.push(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const client = connect(port, '127.0.0.1')
    ends.push(() => client.destroy())
    client.pause()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const [, out] = (await once(server, 'request')) as [unknown, ServerResponse]
    return { done: answer(out), out }
  }

  it('ends the connection of a client that leaves its answer unread, and gives the rest of the body up', async () => {
    const { body, seen } = endless()
    const { done, out } = await ask((response) => writeResponse(new Response(body), response, 50))
    await done
    expect([out.destroyed, seen.cancelled]).toEqual([true, true])
  })

  it('waits for one that is slow but reads', async () => {
    const chunks = Array.from({ length: 64 }, () => new Uint8Array(65_536))
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const chunk = chunks.shift()
        if (chunk === undefined) controller.close()
        else controller.enqueue(chunk)
      },
    })
    const server = createServer(
      (_, out) => void writeResponse(new Response(body), out, RESPONSE_STALL_MS).then(() => out.end()),
    )
    server.listen(0, '127.0.0.1')
    ends.push(() => server.close())
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    ends.push(() => client.destroy())
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    let bytes = 0
    for await (const chunk of client) bytes += (chunk as Uint8Array).byteLength
    expect(bytes).toBeGreaterThan(64 * 65_536)
  })
})
