import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { MAX_RECOGNISED_BYTES, recognise } from '../../src/inbound/recognise.js'
import { HandshakeStream } from '../../src/streams/handshake-stream.js'
import { countListeners } from '../support/count-listeners.js'
import { settle } from '../support/manual-clock.js'
import { memoryStreamPair, TestPeer } from '../support/memory-stream.js'
import { bytesOf, concat, hex } from '../support/test-peer.js'

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'PRI',
  'UNSUBSCRIBE',
  'M-SEARCH',
  'UNHEARD-OF',
]
const REST = bytesOf('/ HTTP/1.1\r\nHost: a\r\n\r\n')

/** What arrives, what it is, and how many bytes decide that. */
const ARRIVALS: readonly (readonly [name: string, bytes: Uint8Array, protocol: string, decidedAt: number])[] = [
  ['a SOCKS5 greeting', hex('05 01 00'), 'socks5', 1],
  ['a SOCKS4 request', hex('04 01 0050 c6336401 00'), 'socks4', 1],
  ['a ClientHello', hex('16 0301 00f8 01 0000f4 0303'), 'tls', 1],
  ...METHODS.map((method) => [method, concat(bytesOf(`${method} `), REST), 'http', method.length + 1] as const),
  ...METHODS.map(
    (method) =>
      [`an empty line, and ${method}`, concat(bytesOf(`\r\n${method} `), REST), 'http', method.length + 3] as const,
  ),
  ['two empty lines', bytesOf('\r\n\r\nGET / HTTP/1.1\r\n'), 'other', 3],
  ['half an empty line', bytesOf('\rGET / HTTP/1.1\r\n'), 'other', 2],
  ['the end of a line alone', bytesOf('\nGET / HTTP/1.1\r\n'), 'other', 1],
  ['an empty line, and SOCKS5', hex('0d 0a 05 01 00'), 'other', 3],
  ['an empty line, and a word that is too long for a method', bytesOf('\r\nANTIDISESTABLISHME'), 'other', 20],
  ['an SSH banner', bytesOf('SSH-2.0-x\r\n'), 'other', 5],
  ['a method in lower case', bytesOf('get / HTTP/1.1\r\n'), 'other', 1],
  ['a word without a target', bytesOf('QUIT\r\n'), 'other', 5],
  ['a word that is too long for a method', bytesOf('ANTIDISESTABLISHME'), 'other', 18],
  ['a single letter', bytesOf('A b'), 'other', 2],
  ['a word that begins like OPTIONS', bytesOf('OPTIONS\t/'), 'other', 8],
  ['a zero', hex('00'), 'other', 1],
]

function open(chunkSize?: number) {
  const [near, far] = memoryStreamPair(chunkSize === undefined ? {} : { chunkSize })
  return { near, peer: new TestPeer(far), handshake: new HandshakeStream(near) }
}

describe('recognise()', () => {
  it.each(ARRIVALS)('decides on %s as soon as it can, at every split', (_, bytes, protocol, decidedAt) => {
    for (let length = 0; length <= bytes.length; length++) {
      const decided = length < decidedAt ? undefined : { value: protocol, bytesRead: 0 }
      expect(recognise(bytes.subarray(0, length)), `${length} bytes`).toEqual(decided)
    }
  })

  it.each(ARRIVALS)('leaves every byte of %s to the next reader', async (_, bytes, protocol) => {
    for (const chunkSize of [1, 2, 3, 1_000]) {
      const { near, peer, handshake } = open(chunkSize)
      peer.write(bytes)
      expect(await handshake.read(recognise)).toBe(protocol)
      await settle()
      expect(near.unconsumed).toBe(bytes.length)
      peer.end()
      expect(await new TestPeer(handshake.release()).readAll()).toEqual(bytes)
    }
  })

  it('says the same when it is asked again', async () => {
    const { peer, handshake } = open(1)
    peer.write('CONNECT a:1 HTTP/1.1\r\n\r\n')
    expect(await handshake.read(recognise)).toBe('http')
    expect(await handshake.read(recognise)).toBe('http')
  })

  it('needs no more bytes than its limit, and looks at no more', () => {
    const beginning = fc.constantFrom(...METHODS, ...METHODS.map((method) => `\r\n${method}`), '').map(bytesOf)
    const noise = fc.uint8Array({ minLength: MAX_RECOGNISED_BYTES, maxLength: 3 * MAX_RECOGNISED_BYTES })
    fc.assert(
      fc.property(beginning, noise, (start, rest) => {
        const bytes = concat(start, rest)
        const decided = recognise(bytes.subarray(0, MAX_RECOGNISED_BYTES))
        expect(decided).toBeDefined()
        expect(recognise(bytes)).toEqual(decided)
      }),
    )
  })

  it.each(['end', 'abort'] as const)('fails a wait when the client goes by %s()', async (how) => {
    const { peer, handshake } = open()
    const read = handshake.read(recognise)
    peer.write('CONN')
    await settle()
    if (how === 'end') peer.end()
    else peer.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await expect(read).rejects.toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it('goes on after a wait that was cancelled, and leaves no listener', async () => {
    const { peer, handshake } = open()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const read = handshake.read(recognise, { signal: controller.signal })
    peer.write('CONN')
    await settle()
    controller.abort()
    await expect(read).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(listeners()).toBe(0)
    peer.write('ECT ')
    expect(await handshake.read(recognise)).toBe('http')
  })
})
