import type { ConnectionOptions } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_HELLO_BYTES, MAX_HELLO_RECORDS, readClientHello } from '../../../src/node/tls/client-hello.js'
import { KIB } from '../../../src/protocol/limits.js'
import {
  alpn,
  clientHello,
  extension,
  handshake,
  helloWith,
  inRecords,
  record,
  serverNames,
  unwrapped,
} from './hellos.js'

const NOTHING = { serverName: undefined, protocols: [] }
const PADDING = 21

/** What is told when the bytes come by and by, looked at when as many are there as were asked for. */
function readInPieces(bytes: Uint8Array, step = 1): { answer: unknown; looks: number; at: number } {
  let looks = 0
  let wanted = 1
  for (let there = step; ; there += step) {
    const known = bytes.subarray(0, there)
    if (known.byteLength >= wanted) {
      looks += 1
      // of its own, so that nothing after it could be read
      const found = readClientHello(new Uint8Array(known))
      if (typeof found !== 'number') return { answer: found, looks, at: known.byteLength }
      expect(found).toBeGreaterThan(known.byteLength)
      wanted = found
    }
    if (there >= bytes.byteLength) return { answer: undefined, looks, at: known.byteLength }
  }
}

const CLIENTS: readonly (readonly [ConnectionOptions, string | undefined, readonly string[]])[] = [
  [{}, undefined, []],
  [{ servername: 'relay.example.com' }, 'relay.example.com', []],
  [{ servername: 'Relay.EXAMPLE.com', ALPNProtocols: ['http/1.1'] }, 'relay.example.com', ['http/1.1']],
  [{ servername: 'a', ALPNProtocols: ['h2', 'http/1.1'], maxVersion: 'TLSv1.2' }, 'a', ['h2', 'http/1.1']],
  [{ servername: 'a.b', ALPNProtocols: ['acme-tls/1'], minVersion: 'TLSv1.3' }, 'a.b', ['acme-tls/1']],
  [{ ALPNProtocols: ['x'.repeat(255)], maxVersion: 'TLSv1.2' }, undefined, ['x'.repeat(255)]],
  [{ servername: `${'a'.repeat(63)}.${'b'.repeat(63)}` }, `${'a'.repeat(63)}.${'b'.repeat(63)}`, []],
]

describe('readClientHello', () => {
  it.each(CLIENTS)('reads what Node asks for with %j', async (options, serverName, protocols) => {
    const hello = await clientHello(options)
    expect(readClientHello(hello)).toEqual({ serverName, protocols })
  })

  it.each(CLIENTS)('tells the same with %j, split at every byte', async (options, serverName, protocols) => {
    const hello = await clientHello(options)
    for (let end = 0; end < hello.byteLength; end += 1) {
      const wanted = readClientHello(hello.subarray(0, end))
      expect(wanted).toBeGreaterThan(end)
      expect(wanted).toBeLessThanOrEqual(hello.byteLength)
    }
    const expected = { answer: { serverName, protocols }, at: hello.byteLength }
    expect(readInPieces(hello)).toMatchObject({ ...expected, looks: 4 })
    expect(readInPieces(Buffer.concat([hello, hello]))).toMatchObject(expected)
  })

  it.each([4, 5, 16, 100])('reads one that lies in records of %d bytes, split at every byte', async (bytes) => {
    const hello = unwrapped(await clientHello({ servername: 'a.test', ALPNProtocols: ['b'] }))
    const records = inRecords(hello, bytes)
    const answer = { serverName: 'a.test', protocols: ['b'] }
    expect(readClientHello(records)).toEqual(answer)
    expect(readInPieces(records)).toMatchObject({ answer, at: records.byteLength })
    expect(readInPieces(records, 7).answer).toEqual(answer)
  })

  it('passes over extensions of more than 16 KiB, in several records', () => {
    const hello = inRecords(helloWith([extension(PADDING, new Uint8Array(40_000)), serverNames([0, 'far.test'])]))
    expect(hello.byteLength).toBeGreaterThan(32 * KIB)
    const answer = { serverName: 'far.test', protocols: [] }
    expect(readClientHello(hello)).toEqual(answer)
    expect(readInPieces(hello)).toMatchObject({ answer, at: hello.byteLength })
  })

  it('looks at nothing after the ClientHello', async () => {
    const hello = await clientHello({ servername: 'a.test' })
    const answer = { serverName: 'a.test', protocols: [] }
    expect(readClientHello(Buffer.concat([hello, Buffer.alloc(MAX_HELLO_BYTES, 0xff)]))).toEqual(answer)
    const both = record(Buffer.concat([unwrapped(hello), Buffer.from('other message')]))
    expect(readClientHello(both)).toEqual(answer)
  })

  it.each([
    ['no extensions', helloWith(undefined), NOTHING],
    ['an empty list of extensions', helloWith([]), NOTHING],
    ['an empty list of names', helloWith([serverNames()]), NOTHING],
    ['a name of another type', helloWith([serverNames([1, 'a.test'])]), NOTHING],
    [
      'one of another type before',
      helloWith([serverNames([7, 'x'], [0, 'a.test'])]),
      { ...NOTHING, serverName: 'a.test' },
    ],
    [
      'the name of a service',
      helloWith([serverNames([0, '_dmarc.a-b.test'])]),
      { ...NOTHING, serverName: '_dmarc.a-b.test' },
    ],
    ['no protocol', helloWith([alpn()]), NOTHING],
    ['a protocol that is no text', helloWith([alpn('\xff\0')]), { ...NOTHING, protocols: ['\xff\0'] }],
  ])('reads %s', (_name, message, answer) => {
    expect(readClientHello(inRecords(message))).toEqual(answer)
  })

  it.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    'a\0b',
    'ä.test',
    '*.test',
    '[::1]',
    'a/../b',
    'x'.repeat(64),
    Array.from({ length: 64 }, () => 'xyz').join('.'),
  ])('takes %j for no name', (name) => {
    expect(readClientHello(inRecords(helloWith([serverNames([0, name]), alpn('b')])))).toEqual({
      serverName: undefined,
      protocols: ['b'],
    })
  })

  it('takes a name of 253 characters, and none of 254', () => {
    const name = `${'x'.repeat(61)}.${'x'.repeat(63)}.${'x'.repeat(63)}.${'x'.repeat(63)}`
    expect(name.length).toBe(253)
    expect(readClientHello(inRecords(helloWith([serverNames([0, name])])))).toMatchObject({ serverName: name })
    expect(readClientHello(inRecords(helloWith([serverNames([0, `x${name}`])])))).toEqual(NOTHING)
  })

  const named = serverNames([0, 'a.test'])

  it.each([
    ['another record', record(helloWith([named]), 0x15)],
    ['an empty record', record(new Uint8Array())],
    [
      'another record in the middle',
      Buffer.concat([record(helloWith([named]).subarray(0, 20)), record(Buffer.of(1), 0x17)]),
    ],
    ['an empty record in the middle', Buffer.concat([record(helloWith([named]).subarray(0, 20)), record(Buffer.of())])],
    ['another message', inRecords(handshake(helloWith([named]).subarray(4), 2))],
    ['a body of nothing', inRecords(handshake(Buffer.of()))],
    ['a body that ends in the random', inRecords(handshake(Buffer.alloc(33)))],
    ['a session that goes on after the end', inRecords(handshake(Buffer.alloc(35, 0xff)))],
    [
      'extensions that go on after the end',
      inRecords(handshake(Buffer.concat([helloWith(undefined).subarray(4), Buffer.of(1, 0)]))),
    ],
    ['an extension that goes on after the end', inRecords(helloWith([Buffer.of(0, 0, 1, 0, 5)]))],
    ['half an extension', inRecords(helloWith([named, Buffer.of(0)]))],
    ['a name that goes on after the end', inRecords(helloWith([extension(0, Buffer.of(0, 4, 0, 0, 9, 97))]))],
    ['names that go on after the end', inRecords(helloWith([extension(0, Buffer.of(0, 9, 0, 0, 1, 97))]))],
    ['a protocol that goes on after the end', inRecords(helloWith([extension(16, Buffer.of(0, 2, 9, 97))]))],
  ])('is asked for nothing by %s', (_name, bytes) => {
    expect(readClientHello(bytes)).toEqual(NOTHING)
    expect(readInPieces(bytes).answer).toEqual(NOTHING)
  })

  it('reads one of exactly the limit, and none that is longer, however it comes', () => {
    const ofBytes = (bytes: number): Buffer => {
      const name = serverNames([0, 'a.test'])
      const fill = bytes - 4 * 5 - helloWith([name, extension(PADDING, new Uint8Array())]).byteLength
      const message = helloWith([extension(PADDING, new Uint8Array(fill)), name])
      // the last record is a short one
      const records = inRecords(message, Math.ceil(message.byteLength / 4))
      expect(records.byteLength).toBe(bytes)
      return records
    }
    const whole = ofBytes(MAX_HELLO_BYTES)
    expect(readClientHello(whole)).toEqual({ ...NOTHING, serverName: 'a.test' })
    expect(readInPieces(whole)).toMatchObject({ answer: { serverName: 'a.test' }, at: MAX_HELLO_BYTES })
    const longer = ofBytes(MAX_HELLO_BYTES + 1)
    expect(readClientHello(longer)).toEqual(NOTHING)
    expect(readInPieces(longer).answer).toEqual(NOTHING)
    expect(readInPieces(longer, 10_000).answer).toEqual(NOTHING)
  })

  it('reads one of as many records as the limit, and none of more', () => {
    const message = helloWith([serverNames([0, 'a.test']), extension(PADDING, new Uint8Array(2_000))])
    const most = inRecords(message, Math.ceil(message.byteLength / MAX_HELLO_RECORDS))
    expect(readClientHello(most)).toMatchObject({ serverName: 'a.test' })
    expect(readClientHello(inRecords(message, 4))).toEqual(NOTHING)
    expect(readInPieces(inRecords(message, 4)).answer).toEqual(NOTHING)
  })

  it('is asked few times though a peer sends tiny records, byte by byte', () => {
    const bytes = inRecords(Buffer.concat([Buffer.of(1, 0, 0xff, 0xff), new Uint8Array(10_000)]), 1)
    const { answer, looks } = readInPieces(bytes)
    expect(answer).toEqual(NOTHING)
    expect(looks).toBeLessThanOrEqual(2 * MAX_HELLO_RECORDS + 2)
  })

  it('never throws, and tells the same of any bytes however they are split', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        (any, isHello, step) => {
          const bytes = isHello
            ? inRecords(handshake(any), 1 + (any.at(-1) ?? 0))
            : Buffer.concat([Buffer.of(0x16), any])
          const whole = readClientHello(bytes)
          expect(readInPieces(bytes, step).answer).toEqual(typeof whole === 'number' ? undefined : whole)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('never throws for a real one with some bytes changed, left out or put in', async () => {
    const hello = unwrapped(await clientHello({ servername: 'relay.test', ALPNProtocols: ['h2', 'http/1.1'] }))
    const change = fc.record({
      at: fc.nat(hello.byteLength - 1),
      cut: fc.nat(3),
      put: fc.uint8Array({ maxLength: 3 }),
    })
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 20, max: 600 }),
        (changes, size) => {
          let message = hello
          for (const { at, cut, put } of changes) {
            message = Buffer.concat([message.subarray(0, at), put, message.subarray(at + cut)])
          }
          const records = inRecords(message, size)
          const whole = readClientHello(records)
          expect(readInPieces(records).answer).toEqual(typeof whole === 'number' ? undefined : whole)
          if (typeof whole === 'number') return
          for (const protocol of whole.protocols) expect(protocol.length).toBeLessThan(256)
          expect(whole.serverName ?? 'none').toMatch(/^[a-z0-9._-]{1,253}$/)
        },
      ),
      { numRuns: 500 },
    )
  })
})
