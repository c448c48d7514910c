import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { SOCKS_FLUSH_TIMEOUT_MS, SOCKS_HANDSHAKE_TIMEOUT_MS } from '../../src/socks/server.js'
import { countListeners } from '../support/count-listeners.js'
import { settle } from '../support/manual-clock.js'
import { bytesOf, concat, hex, toHex } from '../support/test-peer.js'
import { Served } from './fixture.js'

const NO_AUTH = hex('05 01 00')
const CONNECT = hex('05 01 00 01 c6336401 0050')
const SUCCESS = '05000001000000000000'
const CREDENTIALS = { username: 'user', password: 'secret' }

function login(username: string, password: string): Uint8Array {
  const [user, pass] = [bytesOf(username), bytesOf(password)]
  return Uint8Array.of(1, user.length, ...user, pass.length, ...pass)
}

/** What the client hears until the server closes, as hex. */
async function answerTo(served: Served, ...input: readonly Uint8Array[]): Promise<string> {
  served.client.write(concat(...input))
  const answer = toHex(await served.client.readAll())
  served.client.end()
  await served.done
  expect(await served.client.untilClosed()).toBeUndefined()
  expect(served.clock.pending).toBe(0)
  return answer
}

describe('serveSocks method selection', () => {
  it.each([
    ['00', '0500'],
    ['02 00', '0500'],
    ['01 03 00', '0500'],
  ])('chooses "none" from %s', async (methods, answer) => {
    const served = new Served()
    const offered = hex(methods)
    served.client.write(Uint8Array.of(5, offered.length, ...offered))
    expect(toHex(await served.client.read(2))).toBe(answer)
    served.client.abort(new LinkSocksError('ERR_CANCELLED', 'done'))
    await served.done
  })

  it.each(['', '01', '01 03 80 fe ff'])('answers 0xFF to %j and closes', async (methods) => {
    const served = new Served()
    const offered = hex(methods)
    expect(await answerTo(served, Uint8Array.of(5, offered.length, ...offered))).toBe('05ff')
    expect(served.failure).toBe('ERR_SOCKS_METHOD')
  })

  it('with credentials takes user/password only', async () => {
    expect(await answerTo(new Served({ credentials: CREDENTIALS }), NO_AUTH)).toBe('05ff')
    const both = new Served({ credentials: CREDENTIALS })
    expect(await answerTo(both, hex('05 02 00 02'), login('user', 'wrong'))).toBe('05020101')
  })

  it('without credentials accepts any login of a client that insists on one', async () => {
    const served = new Served()
    served.client.write(concat(hex('05 01 02'), login('a', 'b'), CONNECT))
    expect(toHex(await served.client.read(14))).toBe(`05020100${SUCCESS}`)
    served.client.abort(new LinkSocksError('ERR_CANCELLED', 'done'))
    await served.done
  })
})

describe('serveSocks login', () => {
  it('accepts the right one', async () => {
    const served = new Served({ credentials: CREDENTIALS })
    served.client.write(concat(hex('05 01 02'), login('user', 'secret'), CONNECT))
    expect(toHex(await served.client.read(14))).toBe(`05020100${SUCCESS}`)
    served.client.abort(new LinkSocksError('ERR_CANCELLED', 'done'))
    await served.done
  })

  it.each([
    ['user', 'Secret'],
    ['user', ''],
    ['', 'secret'],
    ['root', 'secret'],
  ])('answers 0x01 to %j with %j, closes, dials nothing and logs no secret', async (username, password) => {
    const served = new Served({ credentials: CREDENTIALS })
    expect(await answerTo(served, hex('05 01 02'), login(username, password), CONNECT)).toBe('05020101')
    expect(served.failure).toBe('ERR_SOCKS_AUTH')
    expect(served.dialer.dialled).toEqual([])
    expect(JSON.stringify(served.log.entries).toLowerCase()).not.toContain('secret')
  })

  it('answers 0x01 to another sub-negotiation', async () => {
    const served = new Served({ credentials: CREDENTIALS })
    expect(await answerTo(served, hex('05 01 02'), CONNECT)).toBe('05020101')
    expect(served.failure).toBe('ERR_SOCKS_VERSION')
  })
})

describe('serveSocks request', () => {
  it.each([
    ['BIND', '05 02 00 01 c6336401 0050', '07', 'ERR_SOCKS_COMMAND'],
    ['an unknown command', '05 09 00 01 c6336401 0050', '07', 'ERR_SOCKS_COMMAND'],
    ['UDP ASSOCIATE without a way to bind', '05 03 00 01 00000000 0000', '07', 'ERR_SOCKS_COMMAND'],
    ['an unknown address type', '05 01 00 02 c6336401 0050', '08', 'ERR_SOCKS_ATYP'],
    ['BIND to an unknown address type', '05 02 00 00', '08', 'ERR_SOCKS_ATYP'],
    ['an empty domain', '05 01 00 03 00 0050', '01', 'ERR_SOCKS_MALFORMED'],
    ['a domain with a NUL', '05 01 00 03 03 610062 0050', '01', 'ERR_SOCKS_MALFORMED'],
    ['another version', '04 01 00 01 c6336401 0050', '01', 'ERR_SOCKS_VERSION'],
  ])('answers %s with its REP before it closes', async (_, request, rep, code) => {
    const served = new Served()
    expect(await answerTo(served, NO_AUTH, hex(request))).toBe(`050005${rep}0001000000000000`)
    expect(served.failure).toBe(code)
    expect(served.dialer.dialled).toEqual([])
  })

  it('answers a request that the client cut short by its FIN', async () => {
    const served = new Served()
    served.client.write(concat(NO_AUTH, CONNECT.subarray(0, 6)))
    served.client.end()
    expect(toHex(await served.client.readAll())).toBe('050005010001000000000000')
    await served.done
  })
})

describe('serveSocks with something that is not SOCKS5', () => {
  it('answers SOCKS4 with 0x5B', async () => {
    const served = new Served()
    expect(await answerTo(served, hex('04 01 0050 c6336401 00'))).toBe('005b000000000000')
    expect(served.failure).toBe('ERR_SOCKS_VERSION')
  })

  it.each([
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'CONNECT example.com:443 HTTP/1.1\r\n\r\n',
    'POST /x HTTP/1.1\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    `GET /${'x'.repeat(5000)} HTTP/1.1\r\n\r\n`,
  ])('answers %j with a 400 that names SOCKS5', async (request) => {
    for (const chunkSize of [1, 100_000]) {
      const served = new Served({}, { chunkSize })
      const answer = Buffer.from(await answerTo(served, bytesOf(request)), 'hex').toString()
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
      expect(head).toMatch(/\r\nConnection: close(\r\n|$)/)
      expect(head).toContain(`\r\nContent-Length: ${body.length}\r\n`)
      expect(body).toContain('SOCKS5')
    }
  })

  it.each(['16030100', '00', 'SSH-2.0-x\r\n', 'GETAWAY'])('closes on %j without a word', async (input) => {
    const served = new Served()
    expect(await answerTo(served, /^[\da-f]+$/.test(input) ? hex(input) : bytesOf(input))).toBe('')
    expect(served.failure).toBe('ERR_SOCKS_VERSION')
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

describe('serveSocks deadline', () => {
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

describe('serveSocks when told to end', () => {
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

  it('settles when the client leaves in the middle of the handshake, without raising its voice', async () => {
    const served = new Served()
    served.client.write(hex('05 02'))
    await settle()
    served.client.abort(new LinkSocksError('ERR_CANCELLED', 'bye'))
    await served.done
    expect(served.log.entries.map(({ level }) => level)).toEqual(['debug'])
  })
})
