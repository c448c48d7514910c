import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeConnect, encodeDatagram, encodeDisconnect } from '../../src/protocol/messages.js'
import { readdressed } from '../../src/protocol/readdress.js'
import { hex } from '../support/test-peer.js'

const ID = hex('c692e0074c7e481882fc7a1fe1bf3a27')

describe('readdressed', () => {
  it('puts another host into a Connect, and keeps what follows it', () => {
    const connect = hex(`020301 c692e0074c7e481882fc7a1fe1bf3a27 0c6578616d706c652e74657374 0050 01 4c58 7701aa`)
    expect(readdressed(connect, '::1')).toEqual(
      hex('020301 c692e0074c7e481882fc7a1fe1bf3a27 033a3a31 0050 01 4c58 7701aa'),
    )
  })

  it('puts another target into a datagram, and keeps payload, source and what follows', () => {
    const data = hex(
      '020402 11111111222243338444444444444401 00 00000005 68656c6c6f 00 0000 0161 0035 0000000000000001',
    )
    expect(readdressed(data, '127.0.0.1')).toEqual(
      hex(
        '020402 11111111222243338444444444444401 00 00000005 68656c6c6f 00 0000 093132372e302e302e31 0035 0000000000000001',
      ),
    )
  })

  it('changes nothing but the host, whatever the message', () => {
    const host = fc.string({ minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(host, host, fc.nat(65_535), fc.uint8Array({ maxLength: 300 }), (from, to, port, data) => {
        const target = { host: from, port }
        const connect = encodeConnect({ protocol: 1, channelId: ID, target, trailer: { streamControl: 7 } })
        const datagram = encodeDatagram({ channelId: ID, data, target, source: { host: to, port: 1 } })
        for (const raw of [connect, datagram]) {
          const expected = { ...decodeMessage(raw), target: { host: to, port } }
          expect(decodeMessage(readdressed(raw, to))).toEqual(expected)
        }
      }),
    )
  })

  it('refuses another message, and a host that is too long', () => {
    const connect = encodeConnect({ protocol: 1, channelId: ID, target: { host: 'a', port: 1 } })
    expect(() => readdressed(encodeDisconnect({ channelId: ID }), 'a')).toThrow('a message without a target')
    expect(readdressed(connect, 'x'.repeat(255))).toHaveLength(connect.length + 254)
    expect(() => readdressed(connect, 'x'.repeat(256))).toThrow('too long')
  })
})
