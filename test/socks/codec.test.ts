import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import {
  decodeMethodChoice,
  decodeMethods,
  decodeReply,
  decodeRequest,
  decodeUserPassword,
  decodeUserPasswordStatus,
  encodeMethodChoice,
  encodeMethods,
  encodeReply,
  encodeRequest,
  encodeUserPassword,
  encodeUserPasswordStatus,
  fitsCredential,
  MAX_CREDENTIAL_BYTES,
} from '../../src/socks/codec.js'
import type { Decode } from '../../src/streams/handshake-stream.js'
import { bytesOf, concat, hex } from '../support/test-peer.js'
import { address, byte, port } from './arbitraries.js'
import { addressBytes, hostText } from './oracle.js'

/** Judges one decoder: reads `bytes` whole with anything behind, and gives undefined for every part of it. */
function expectDecodes(decode: Decode<unknown>, bytes: Uint8Array, value: unknown): void {
  expect(decode(concat(bytes, bytesOf('rest')))).toEqual({ value, bytesRead: bytes.length })
  for (let cut = 0; cut < bytes.length; cut++) expect(decode(bytes.subarray(0, cut))).toBeUndefined()
}

/** 1 to 255 bytes of UTF-8. */
const credential = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 255 })
  .filter((text) => Buffer.byteLength(text) <= 255 && Buffer.from(text).toString() === text)

describe('SOCKS5 method selection', () => {
  it('survives a round trip', () => {
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 255 }), byte, (methods, choice) => {
        const greeting = Uint8Array.of(5, methods.length, ...methods)
        expect(encodeMethods(methods)).toEqual(greeting)
        expectDecodes(decodeMethods, greeting, Uint8Array.from(methods))
        expect(encodeMethodChoice(choice)).toEqual(Uint8Array.of(5, choice))
        expectDecodes(decodeMethodChoice, Uint8Array.of(5, choice), choice)
      }),
    )
  })
})

describe('SOCKS5 user/password sub-negotiation', () => {
  it('survives a round trip', () => {
    fc.assert(
      fc.property(credential, credential, (username, password) => {
        const [user, pass] = [Buffer.from(username), Buffer.from(password)]
        const message = Uint8Array.of(1, user.length, ...user, pass.length, ...pass)
        expect(encodeUserPassword({ username, password })).toEqual(message)
        expectDecodes(decodeUserPassword, message, { username: Uint8Array.from(user), password: Uint8Array.from(pass) })
      }),
    )
  })

  it('reads empty parts', () => {
    expectDecodes(decodeUserPassword, hex('01 00 00'), { username: new Uint8Array(0), password: new Uint8Array(0) })
  })

  it.each([
    ['', 'x'],
    ['x', ''],
    ['x'.repeat(256), 'x'],
    ['x', 'ü'.repeat(128)],
  ])('does not write what does not fit, nor shows it', (username, password) => {
    let message = ''
    try {
      encodeUserPassword({ username, password })
    } catch (error) {
      message = error instanceof LinkSocksError ? `${error.code} ${error.message}` : ''
    }
    expect(message).toMatch(/^ERR_OPTION SOCKS5 (user name|password) must be 1 to 255 bytes, this one has \d+$/)
  })

  it('reads and writes the status', () => {
    expect([encodeUserPasswordStatus(true), encodeUserPasswordStatus(false)]).toEqual([hex('0100'), hex('0101')])
    expectDecodes(decodeUserPasswordStatus, hex('0100'), 0)
    expectDecodes(decodeUserPasswordStatus, hex('01ff'), 255)
  })
})

describe('fitsCredential', () => {
  it.each(['a', 'a'.repeat(MAX_CREDENTIAL_BYTES), `${'é'.repeat(127)}a`])('takes %j, as the encoder does', (text) => {
    expect(fitsCredential(text)).toBe(true)
    expect(() => encodeUserPassword({ username: text, password: text })).not.toThrow()
  })

  it.each(['', 'a'.repeat(MAX_CREDENTIAL_BYTES + 1), 'é'.repeat(128)])('refuses %j, as the encoder does', (text) => {
    expect(fitsCredential(text)).toBe(false)
    expect(() => encodeUserPassword({ username: text, password: 'p' })).toThrow(/1 to 255 bytes/)
  })
})

describe('SOCKS5 request and reply', () => {
  it('survive a round trip', () => {
    fc.assert(
      fc.property(byte, address, port, byte, (code, source, number, reserved) => {
        const tail = addressBytes(source, number)
        const target = { host: hostText(source), port: number }
        const bytes = Uint8Array.of(5, code, 0, ...tail)
        expect(encodeRequest({ cmd: code, target })).toEqual(bytes)
        expect(encodeReply(code, target)).toEqual(bytes)
        bytes[2] = reserved
        expectDecodes(decodeRequest, bytes, { cmd: code, target })
        expectDecodes(decodeReply, bytes, { rep: code, bound: target })
      }),
    )
  })

  it('write 0.0.0.0:0 where there is no address to tell', () => {
    expect(encodeReply(5)).toEqual(hex('05 05 00 01 00000000 0000'))
  })

  it('refuse an address type as soon as it is there', () => {
    expect(() => decodeRequest(hex('05 01 00 02'))).toThrow(expect.objectContaining({ code: 'ERR_SOCKS_ATYP' }))
  })
})

describe('every SOCKS5 decoder', () => {
  const decoders: readonly (readonly [string, Decode<unknown>, number])[] = [
    ['decodeMethods', decodeMethods, 5],
    ['decodeMethodChoice', decodeMethodChoice, 5],
    ['decodeUserPassword', decodeUserPassword, 1],
    ['decodeUserPasswordStatus', decodeUserPasswordStatus, 1],
    ['decodeRequest', decodeRequest, 5],
    ['decodeReply', decodeReply, 5],
  ]

  it.each(decoders)('%s refuses another version with its first byte', (_, decode, version) => {
    for (let other = 0; other < 256; other++) {
      const judge = () => decode(Uint8Array.of(other))
      if (other === version) expect(judge()).toBeUndefined()
      else expect(judge).toThrow(expect.objectContaining({ code: 'ERR_SOCKS_VERSION' }))
    }
  })

  it.each(decoders)('%s throws nothing but its own errors and reads no more than there is', (_, decode, version) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (bytes, plausible) => {
        if (plausible && bytes.length > 0) bytes[0] = version
        try {
          const decoded = decode(bytes)
          expect(decoded?.bytesRead ?? 0).toBeLessThanOrEqual(bytes.length)
        } catch (error) {
          expect(error).toBeInstanceOf(LinkSocksError)
        }
      }),
    )
  })
})
