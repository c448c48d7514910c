import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import type { SecureVersion } from 'node:tls'
import { describe, expect, it, vi } from 'vitest'
import { upgrade } from '../../../src/node/connect/ws-upgrade.js'
import { TLS_PROOF_FIELD, tlsProof } from '../../../src/node/tls/shared-tls.js'
import { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { messageTransportContract } from '../../contract/message-transport.js'
import { pattern } from '../../contract/pattern.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { atEnd } from '../../support/at-end.js'
import { socketPair, type TlsPair, tlsPair } from '../net/sockets.js'
import { webSocketOn } from './shared-tls-pair.js'

const FIELD = TLS_PROOF_FIELD.toLowerCase()

async function tls(version?: SecureVersion): Promise<TlsPair> {
  const made = await tlsPair(version)
  for (const socket of [made.client, made.server]) {
    socket.on('error', () => {})
    atEnd(() => void socket.destroy())
  }
  return made
}

function transportPair<T extends { abort(): void }>(a: T, b: T) {
  return {
    a,
    b,
    cleanup() {
      a.abort()
      b.abort()
    },
  }
}

messageTransportContract('WsTransport over TLS, client to server', async () => {
  const { client: near, server: far } = await tlsPair()
  const { client, server } = await webSocketOn(near, far)
  return transportPair(client, server)
})

messageTransportContract('WsTransport over TLS, server to client', async () => {
  const { client: near, server: far } = await tlsPair()
  const { client, server } = await webSocketOn(near, far)
  return transportPair(server, client)
})

/** Masking keys of some frames that `client` sends, small ones and large. */
async function keysOf(client: WsTransport, server: WsTransport): Promise<string[]> {
  const written: Buffer[] = []
  vi.spyOn(client.socket, 'write').mockImplementation(function (this: Socket, ...args: unknown[]) {
    written.push(Buffer.from(args[0] as Uint8Array))
    return Object.getPrototypeOf(client.socket).write.apply(client.socket, args)
  } as Socket['write'])
  const seen = new TransportRecorder()
  client.start(new TransportRecorder())
  server.start(seen)
  const sizes = [5, 200, 70_000]
  for (const [i, bytes] of sizes.entries()) {
    client.send(pattern(bytes, i))
    await seen.until(() => seen.messages.length === i + 1)
  }
  expect(seen.messages.map((message, i) => Buffer.compare(message, pattern(sizes[i] ?? 0, i)))).toEqual([0, 0, 0])
  const bytes = Buffer.concat(written)
  const at = [2, 2 + 4 + 5 + 4, 2 + 4 + 5 + 4 + 4 + 200 + 10]
  return at.map((from) => bytes.subarray(from, from + 4).toString('hex'))
}

const ZERO = ['00000000', '00000000', '00000000']

describe('WsTransport and the TLS below', () => {
  it('masks with zeros where both ends have proven that they are those of one connection', async () => {
    const { client: near, server: far } = await tls()
    const { client, server, request } = await webSocketOn(near, far)
    expect(request.headers[FIELD]).toBe(tlsProof(near, 'client'))
    expect(await keysOf(client, server)).toEqual(ZERO)
  })

  it.each([
    [
      'TLS 1.2',
      async () => {
        const { client, server } = await tls('TLSv1.2')
        return [client, server] as const
      },
    ],
    ['no TLS', () => socketPair()],
  ])('masks with fresh keys over %s, and asks for no proof', async (_name, open) => {
    const [near, far] = await open()
    atEnd(() => void near.destroy())
    const { client, server, request } = await webSocketOn(near, far)
    expect(request.headers[FIELD]).toBeUndefined()
    const keys = await keysOf(client, server)
    expect(new Set([...keys, ZERO[0]]).size).toBe(4)
  })

  it('masks with fresh keys where a proxy in between ends TLS on both sides', async () => {
    const [outer, inner] = [await tls(), await tls()]
    outer.server.pipe(inner.client).pipe(outer.server)
    const { client, server, request } = await webSocketOn(outer.client, inner.server)
    // it passes on what it was given
    expect(request.headers[FIELD]).toBe(tlsProof(outer.client, 'client'))
    const keys = await keysOf(client, server)
    expect(new Set([...keys, ZERO[0]]).size).toBe(4)
  })

  it.each([
    ['says nothing', () => undefined],
    ['sends the proof of the client back', (far: Socket) => tlsProof(far, 'client')],
    ['shows anything', () => 'A'.repeat(43)],
  ])('masks with fresh keys where the server %s', async (_what, proof) => {
    const { client: near, server: far } = await tls()
    const http = createServer()
    const accepted = new Promise<WsTransport>((resolve) => {
      http.on('upgrade', (request, socket: Socket, head) => {
        const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
        const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${guid}`).digest('base64')
        const shown = proof(far)
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Accept: ${accept}\r\n${shown === undefined ? '' : `${TLS_PROOF_FIELD}: ${shown}\r\n`}\r\n`,
        )
        resolve(new WsTransport({ socket, head }, 'server'))
      })
    })
    http.emit('connection', far)
    far.resume()
    near.resume()
    const request = { url: 'wss://relay.test/socket', socket: near, headers: {}, signal: new AbortController().signal }
    const [client, server] = await Promise.all([upgrade(request), accepted])
    const keys = await keysOf(client as WsTransport, server)
    expect(new Set([...keys, ZERO[0]]).size).toBe(4)
  })
})
