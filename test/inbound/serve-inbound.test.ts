import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { SOCKS_HANDSHAKE_TIMEOUT_MS } from '../../src/inbound/serve-inbound.js'
import { SOCKS_FLUSH_TIMEOUT_MS } from '../../src/socks/connection.js'
import { answerTo, login, Served } from '../socks/fixture.js'
import { countListeners } from '../support/count-listeners.js'
import { settle } from '../support/manual-clock.js'
import { bytesOf, concat, hex } from '../support/test-peer.js'

const NO_AUTH = hex('05 01 00')
const CONNECT = hex('05 01 00 01 c6336401 0050')
const CREDENTIALS = { username: 'user', password: 'secret' }

describe('serveInbound() with something that is not SOCKS5', () => {
  it('answers SOCKS4 with 0x5B where it is not served', async () => {
    const served = new Served({ protocols: ['socks5'] })
    expect(await answerTo(served, hex('04 01 0050 c6336401 00'))).toBe('005b000000000000')
    expect(served.failure).toBe('ERR_SOCKS_VERSION')
  })

  it.each([
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'CONNECT example.com:443 HTTP/1.1\r\n\r\n',
    'POST /x HTTP/1.1\r\n\r\n',
    '\r\nGET / HTTP/1.1\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    `GET /${'x'.repeat(5000)} HTTP/1.1\r\n\r\n`,
  ])('answers %j with a 400 that says so', async (request) => {
    for (const chunkSize of [1, 100_000]) {
      const served = new Served({}, { chunkSize })
      const answer = Buffer.from(await answerTo(served, bytesOf(request)), 'hex').toString()
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
      expect(head).toMatch(/\r\nConnection: close(\r\n|$)/)
      expect(head).toContain(`\r\nContent-Length: ${body.length}\r\n`)
      expect(body).toBe('This port does not serve HTTP.\n')
    }
  })

  it.each(['16030100', '00', 'SSH-2.0-x\r\n', 'QUIT\r\n'])('closes on %j without a word', async (input) => {
    const served = new Served()
    expect(await answerTo(served, /^[\da-f]+$/.test(input) ? hex(input) : bytesOf(input))).toBe('')
    expect(served.failure).toBe('ERR_SOCKS_VERSION')
  })

  it.each([
    ['04 01 0050 c6336401 00', 'the client speaks SOCKS4, which this port does not serve'],
    ['474554202f', 'the client speaks HTTP, which this port does not serve'],
    ['16030100', 'version 22 instead of 5'],
    ['5353482d31', 'version 83 instead of 5'],
  ])('logs of %s that %s', async (input, error) => {
    for (const chunkSize of [1, 100]) {
      const served = new Served({ protocols: ['socks5'] }, { chunkSize })
      await answerTo(served, hex(input))
      const fields = { client: '192.0.2.7', target: undefined, code: 'ERR_SOCKS_VERSION', error }
      expect(served.log.entries).toEqual([{ level: 'info', event: 'socks.failed', fields }])
    }
  })

  it('survives any bytes in any pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        async (bytes, chunkSize, plausible) => {
          const served = new Served({}, { chunkSize })
          served.client.write(plausible ? concat(NO_AUTH, hex('05'), bytes) : bytes)
          served.client.end()
          served.dialer.target.abort(new LinkSocksError('ERR_CANCELLED', 'no'))
          await served.done
          expect(served.clock.pending).toBe(0)
        },
      ),
    )
  })
})

describe('serveInbound() with a request', () => {
  it('reports it once, when it is whole and allowed', async () => {
    let requests = 0
    const requested = (): void => void requests++
    const served = new Served({ requested, credentials: CREDENTIALS }, { chunkSize: 1 })
    const request = concat(hex('05 01 02'), login('user', 'secret'), CONNECT)
    served.client.write(request.subarray(0, -1))
    await served.client.read(4)
    await settle()
    expect(requests).toBe(0)
    served.client.write(request.subarray(-1))
    await served.client.read(10)
    expect(requests).toBe(1)
    served.client.abort(new LinkSocksError('ERR_CANCELLED', 'done'))
    await served.done
    expect(requests).toBe(1)
  })

  it('never reports one that was refused', async () => {
    let requests = 0
    const requested = (): void => void requests++
    for (const input of [
      concat(hex('05 01 02'), login('user', 'wrong'), CONNECT),
      bytesOf('GET / '),
      hex('0401 0050 c6336401 00'),
    ]) {
      await answerTo(new Served({ requested, credentials: CREDENTIALS }), input)
    }
    expect(requests).toBe(0)
  })
})

describe('serveInbound() deadline', () => {
  it.each([
    ['nothing', new Uint8Array(0)],
    ['half a greeting', hex('05')],
    ['no request', NO_AUTH],
    ['half a request', concat(NO_AUTH, CONNECT.subarray(0, 9))],
    ['half an HTTP method', bytesOf('CONN')],
  ])('resets a client that sends %s', async (_, input) => {
    const served = new Served()
    served.client.write(input)
    await served.clock.advanceAsync(SOCKS_HANDSHAKE_TIMEOUT_MS - 1)
    expect(served.client.closed).toBe(false)
    await served.clock.advanceAsync(1)
    expect(await served.client.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    await served.done
    expect(served.failure).toBe('ERR_SOCKS_TIMEOUT')
    expect(served.clock.pending).toBe(0)
  })

  it('is for the whole handshake: a byte now and then does not extend it', async () => {
    const served = new Served({ credentials: CREDENTIALS, handshakeTimeoutMs: 100 })
    for (const byte of concat(hex('05 01 02'), login('user', 'secret'), CONNECT)) {
      served.client.write(Uint8Array.of(byte))
      await served.clock.advanceAsync(10)
    }
    await served.done
    expect(served.failure).toBe('ERR_SOCKS_TIMEOUT')
    expect(served.dialer.dialled).toEqual([])
  })

  it('is over once the request is there', async () => {
    const served = new Served()
    served.client.write(concat(NO_AUTH, CONNECT))
    await served.client.read(12)
    expect(served.clock.pending).toBe(0)
    served.client.abort(new LinkSocksError('ERR_CANCELLED', 'done'))
    await served.done
  })

  it('bounds the wait for a client that does not read its last answer', async () => {
    const served = new Served({}, { readAheadBytes: 20 })
    served.client.stream.consume = () => {}
    served.client.write('GET ')
    await settle()
    await served.clock.advanceAsync(SOCKS_FLUSH_TIMEOUT_MS - 1)
    expect([served.client.text, served.finished]).toEqual(['HTTP/1.1 400 Bad Req', false])
    await served.clock.advanceAsync(1)
    await served.done
    expect(await served.client.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
  })
})

describe('serveInbound() when its signal aborts', () => {
  it.each([
    ['before it began', undefined],
    ['in the greeting', hex('05')],
    ['before the request', NO_AUTH],
  ])('resets the client %s', async (_, input) => {
    const controller = new AbortController()
    if (input === undefined) controller.abort()
    const served = new Served({ signal: controller.signal })
    served.client.write(input ?? NO_AUTH)
    await settle()
    controller.abort()
    await served.done
    expect(await served.client.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    expect(served.clock.pending).toBe(0)
  })

  it('leaves nothing on the signal of the caller when it is done', async () => {
    const { signal } = new AbortController()
    const listeners = countListeners(signal)
    const served = new Served({ signal })
    await settle()
    expect(listeners()).toBe(1)
    expect(await answerTo(served, hex('05 00'))).toBe('05ff')
    expect(listeners()).toBe(0)
  })

  it('settles when the client leaves in the middle of the handshake, and logs that at level debug', async () => {
    const served = new Served()
    served.client.write(hex('05 02'))
    await settle()
    served.client.abort(new LinkSocksError('ERR_CANCELLED', 'bye'))
    await served.done
    expect(served.log.entries.map(({ level }) => level)).toEqual(['debug'])
  })
})
