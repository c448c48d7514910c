import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { concat, hex, toHex } from '../support/test-peer.js'
import { answerTo, login, Served } from './fixture.js'

const NO_AUTH = hex('05 01 00')
const CONNECT = hex('05 01 00 01 c6336401 0050')
const SUCCESS = '05000001000000000000'
const CREDENTIALS = { username: 'user', password: 'secret' }

describe('SOCKS5 method selection', () => {
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

describe('SOCKS5 login', () => {
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

describe('SOCKS5 request', () => {
  it.each([
    ['BIND', '05 02 00 01 c6336401 0050', '07', 'ERR_SOCKS_COMMAND'],
    ['an unknown command', '05 09 00 01 c6336401 0050', '07', 'ERR_SOCKS_COMMAND'],
    ['UDP ASSOCIATE without a way to bind', '05 03 00 01 00000000 0000', '07', 'ERR_SOCKS_COMMAND'],
    ['an unknown address type', '05 01 00 02 c6336401 0050', '08', 'ERR_SOCKS_ATYP'],
    ['BIND to an unknown address type', '05 02 00 00', '08', 'ERR_SOCKS_ATYP'],
    ['an empty domain', '05 01 00 03 00 0050', '01', 'ERR_SOCKS_MALFORMED'],
    ['a domain with a NUL', '05 01 00 03 03 610062 0050', '04', 'ERR_DIAL_HOST_UNREACHABLE'],
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
