import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { bytesOf, concat, hex, toHex } from '../support/test-peer.js'
import { answerTo, Served } from './fixture.js'

const REQUEST = hex('04 01 0050 c6336401 616e6e00')
const NAMED = concat(hex('04 01 01bb 00000001 00'), bytesOf('example.com'), hex('00'))
const REJECTED = '005b000000000000'

describe('a SOCKS4 client', () => {
  it.each([
    ['by an address', REQUEST, { host: '198.51.100.1', port: 80 }],
    ['by a name (SOCKS4a)', NAMED, { host: 'example.com', port: 443 }],
  ])('is joined with its target %s, however its bytes are cut', async (_, request, target) => {
    for (const chunkSize of [1, 2, 7, 1_000]) {
      const served = new Served({}, { chunkSize })
      served.client.write(concat(request, bytesOf('early')))
      expect(toHex(await served.client.read(8))).toBe('005a000000000000')
      expect(served.dialer.dialled).toEqual([target])
      await served.done
      served.client.end()
    }
  })

  it('hears 0x5B of every failure', async () => {
    const served = new Served()
    served.dialer.onDial = () => Promise.reject(new LinkSocksError('ERR_DIAL_REFUSED', 'refused'))
    expect(await answerTo(served, REQUEST)).toBe(REJECTED)
    expect(served.failure).toBe('ERR_DIAL_REFUSED')
  })

  it.each([
    ['BIND', hex('04 02 0050 c6336401 00'), 'ERR_SOCKS_COMMAND'],
    ['a command that nobody defined', hex('04 09 0050 c6336401 00'), 'ERR_SOCKS_COMMAND'],
    ['an empty name', hex('04 01 0050 00000001 00 00'), 'ERR_SOCKS_MALFORMED'],
  ])('is refused with 0x5B for %s', async (_, request, code) => {
    const served = new Served()
    expect(await answerTo(served, request)).toBe(REJECTED)
    expect(served.failure).toBe(code)
    expect(served.dialer.dialled).toEqual([])
  })

  it('is refused with 0x5B where a password is asked for, whatever its USERID', async () => {
    const served = new Served({ credentials: { username: 'ann', password: 'pw' } })
    expect(await answerTo(served, REQUEST)).toBe(REJECTED)
    expect(served.failure).toBe('ERR_SOCKS_AUTH')
    expect(served.dialer.dialled).toEqual([])
  })
})
