import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { decodeDatagram, encodeDatagram } from '../../src/socks/datagram.js'
import { hex } from '../support/test-peer.js'
import { address, byte, port } from './arbitraries.js'
import { addressBytes, hostText } from './oracle.js'

describe('SOCKS5 datagram', () => {
  it('survives a round trip, and is malformed when its header is cut', () => {
    fc.assert(
      fc.property(address, port, byte, fc.uint8Array({ maxLength: 50 }), (source, number, frag, data) => {
        const header = [0, 0, frag, ...addressBytes(source, number)]
        const target = { host: hostText(source), port: number }
        const bytes = Uint8Array.of(...header, ...data)
        expect(decodeDatagram(bytes)).toEqual({ frag, address: target, data })
        for (let cut = 0; cut < header.length; cut++) {
          expect(() => decodeDatagram(bytes.subarray(0, cut))).toThrow(LinkSocksError)
        }
        bytes[2] = 0
        expect(encodeDatagram(target, data)).toEqual(bytes)
      }),
    )
  })

  it('may be empty behind its header', () => {
    expect(decodeDatagram(hex('0000 00 01 7f000001 0035')).data).toHaveLength(0)
  })

  it.each([
    ['0000 00 02 7f000001 0035', 'ERR_SOCKS_ATYP'],
    ['0000 00 03 00 0035', 'ERR_SOCKS_MALFORMED'],
    ['', 'ERR_SOCKS_MALFORMED'],
  ])('refuses %j with %s', (bytes, code) => {
    expect(() => decodeDatagram(hex(bytes))).toThrow(expect.objectContaining({ code }))
  })
})
