import { describe, expect, it } from 'vitest'
import { type ErrorCode, LinkSocksError } from '../../src/errors.js'
import type { ByteStream } from '../../src/ports.js'
import { settle } from '../support/manual-clock.js'
import { TestPeer } from '../support/memory-stream.js'
import { bytesOf, concat, hex, toHex } from '../support/test-peer.js'
import { Served, whenAborted } from './fixture.js'

const NO_AUTH = hex('05 01 00')
const CONNECT = hex('05 01 00 01 c6336401 0050')
const TO_DOMAIN = concat(hex('05 01 00 03 0b'), bytesOf('example.com'), hex('01bb'))
const SUCCESS = '050005000001000000000000'
const reason = new LinkSocksError('ERR_CANCELLED', 'done')

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** A client whose CONNECT has been sent and whose dial waits for the test. */
function waiting() {
  const served = new Served()
  let resolve: (stream: ByteStream) => void = () => {}
  served.dialer.onDial = () =>
    new Promise((onResolve) => {
      resolve = onResolve
    })
  served.client.write(concat(NO_AUTH, CONNECT))
  return { served, connected: () => resolve(served.dialer.near) }
}

describe('serveConnect', () => {
  it.each([1, 2, 5, 100_000])('joins client and destination, in pieces of %i bytes', async (chunkSize) => {
    const served = new Served({}, { chunkSize })
    const target = new TestPeer(served.dialer.target)
    served.client.write(concat(NO_AUTH, TO_DOMAIN))
    expect(toHex(await served.client.read(12))).toBe(SUCCESS)
    expect(served.dialer.dialled).toEqual([{ host: 'example.com', port: 443 }])
    served.client.write('question')
    expect(text(await target.read(8))).toBe('question')
    target.write('answer')
    expect(text(await served.client.read(6))).toBe('answer')
    served.client.end()
    target.end()
    await served.done
    expect([await served.client.untilClosed(), await target.untilClosed()]).toEqual([undefined, undefined])
    expect(served.clock.pending).toBe(0)
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2::7', '2001:db8:1:2'],
  ])('says that a client at %s counts for %s', async (host, source) => {
    const served = new Served({ remoteAddress: { host, port: 50_000 } })
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(12)
    expect(served.dialer.source).toBe(source)
    served.client.abort(reason)
    await served.done
  })

  it('passes port 0 and every kind of address on', async () => {
    for (const [request, target] of [
      ['05 01 00 01 c6336401 0000', { host: '198.51.100.1', port: 0 }],
      ['05 01 00 04 20010db8000000000000000000000001 ffff', { host: '2001:db8::1', port: 65_535 }],
    ] as const) {
      const served = new Served()
      served.client.write(concat(NO_AUTH, hex(request)))
      await served.client.read(12)
      expect(served.dialer.dialled).toEqual([target])
      served.client.abort(reason)
      await served.done
    }
  })

  it('passes half-closes on, each for itself', async () => {
    const served = new Served()
    const target = new TestPeer(served.dialer.target)
    served.client.write(concat(NO_AUTH, CONNECT, bytesOf('all I have')))
    served.client.end()
    expect(text(await target.readAll())).toBe('all I have')
    expect(target.closed).toBe(false)
    target.write('an answer after the end')
    target.end()
    expect(text((await served.client.readAll()).subarray(12))).toBe('an answer after the end')
    await served.done
  })

  it('keeps bytes the client sent before its answer (same segment, and while the dial runs)', async () => {
    const { served, connected } = waiting()
    served.client.write('early ')
    await settle()
    served.client.write('and later')
    await settle()
    expect(toHex(served.client.buffered)).toBe('0500')
    connected()
    const target = new TestPeer(served.dialer.target)
    expect(text(await target.read(15))).toBe('early and later')
    served.client.abort(reason)
    await served.done
  })

  it('answers before the first byte of a destination that speaks first', async () => {
    const { served, connected } = waiting()
    const target = new TestPeer(served.dialer.target)
    target.write('220 welcome')
    await settle()
    connected()
    const heard = await served.client.read(23)
    expect(toHex(heard.subarray(0, 12))).toBe(SUCCESS)
    expect(text(heard.subarray(12))).toBe('220 welcome')
    served.client.abort(reason)
    await served.done
  })

  it('counts only payload towards the destination as used up', async () => {
    const served = new Served()
    const target = new TestPeer(served.dialer.target)
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(12)
    target.write('answer')
    await served.client.read(6)
    await settle()
    // MemoryStream throws when more is consumed than was delivered: the reply itself must not count
    expect(served.dialer.near.unconsumed).toBe(0)
    expect(served.stream.unconsumed).toBe(0)
    served.client.abort(reason)
    await served.done
  })

  const REPS: readonly (readonly [ErrorCode, string])[] = [
    ['ERR_DIAL_FAILED', '01'],
    ['ERR_DIAL_NOT_ALLOWED', '02'],
    ['ERR_DIAL_NETWORK_UNREACHABLE', '03'],
    ['ERR_DIAL_HOST_UNREACHABLE', '04'],
    ['ERR_DIAL_REFUSED', '05'],
    ['ERR_DIAL_TIMEOUT', '06'],
    ['ERR_DIAL_UNSUPPORTED', '07'],
    ['ERR_DIAL_ADDRESS', '08'],
    ['ERR_SESSION_CLOSED', '03'],
    ['ERR_LIMIT', '01'],
  ]

  it.each(REPS)('answers %s with REP %s and then closes', async (code, rep) => {
    const served = new Served()
    served.dialer.onDial = () => Promise.reject(new LinkSocksError(code, 'no way'))
    served.client.write(concat(NO_AUTH, TO_DOMAIN))
    expect(toHex(await served.client.readAll())).toBe(`050005${rep}0001000000000000`)
    served.client.end()
    expect(await served.client.untilClosed()).toBeUndefined()
    await served.done
    const [entry] = served.log.entries
    expect(entry).toMatchObject({ level: 'info', event: 'socks.failed', fields: { code, target: 'example.com:443' } })
  })

  it('answers whatever else a dialer throws with REP 01', async () => {
    const served = new Served()
    served.dialer.onDial = () => Promise.reject(new TypeError('a bug'))
    served.client.write(concat(NO_AUTH, CONNECT))
    expect(toHex(await served.client.readAll())).toBe('050005010001000000000000')
    served.client.end()
    await served.done
  })

  it('shows a hostile host name harmlessly in the log', async () => {
    const served = new Served()
    served.dialer.onDial = () => Promise.reject(new LinkSocksError('ERR_DIAL_REFUSED', 'no'))
    const name = bytesOf('\u202egpj.exe')
    served.client.write(concat(NO_AUTH, hex('05 01 00 03'), Uint8Array.of(name.length), name, hex('0050')))
    await served.client.readAll()
    served.client.end()
    await served.done
    expect(served.log.entries[0]?.fields.target).toBe('\\u{202e}gpj.exe:80')
  })

  it('ends the dial when the client goes away', async () => {
    const served = new Served()
    served.dialer.onDial = (_, options) => whenAborted(options)
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(2)
    await settle()
    expect(served.dialer.signal?.aborted).toBe(false)
    served.client.abort(reason)
    await served.done
    expect(served.dialer.signal?.aborted).toBe(true)
    expect(served.clock.pending).toBe(0)
  })

  it('leaves no stream behind when the dial succeeds after the client went away', async () => {
    const { served, connected } = waiting()
    await settle()
    served.client.abort(reason)
    await settle()
    expect(served.finished).toBe(false)
    connected()
    await served.done
    expect(served.dialer.near.closed).toBe(true)
  })

  it('goes on dialling for a client that only half-closed', async () => {
    const { served, connected } = waiting()
    served.client.end()
    await settle()
    expect(served.dialer.signal?.aborted).toBe(false)
    connected()
    expect(toHex(await served.client.read(12))).toBe(SUCCESS)
    served.dialer.target.abort(reason)
    await served.done
  })

  it('resets the client and ends the dial when told to end', async () => {
    const controller = new AbortController()
    const served = new Served({ signal: controller.signal })
    served.dialer.onDial = (_, options) => whenAborted(options)
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(2)
    await settle()
    controller.abort(new LinkSocksError('ERR_SHUTTING_DOWN', 'shutting down'))
    await served.done
    expect(await served.client.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    expect(served.failure).toBe('ERR_SHUTTING_DOWN')
  })

  it('resets both sides when told to end while they talk', async () => {
    const controller = new AbortController()
    const served = new Served({ signal: controller.signal })
    const target = new TestPeer(served.dialer.target)
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(12)
    controller.abort()
    await served.done
    expect(await target.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    expect(await served.client.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it.each(['client', 'target'] as const)('passes a reset by the %s on', async (who) => {
    const served = new Served()
    const target = new TestPeer(served.dialer.target)
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(12)
    const [from, to] = who === 'client' ? [served.client, target] : [target, served.client]
    from.abort(reason)
    expect(await to.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    await served.done
  })

  it('brings the last bytes to a slow destination after the client is gone', async () => {
    const served = new Served()
    const target = new TestPeer(served.dialer.target, { consume: false })
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(12)
    served.client.write(new Uint8Array(300_000))
    target.end()
    served.client.end()
    await settle()
    expect(target.receivedBytes).toBe(256 * 1024)
    await served.done
    served.dialer.target.consume(256 * 1024)
    await settle()
    expect(target.receivedBytes).toBe(300_000)
  })
})
