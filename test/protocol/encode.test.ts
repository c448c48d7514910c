import { describe, expect, it } from 'vitest'
import {
  ChannelProtocol,
  DATA_HEAD_BYTES,
  encodeAuth,
  encodeAuthResponse,
  encodeConnect,
  encodeConnectorResponse,
  encodeConnectResponse,
  encodeDatagram,
  encodeDataHead,
  encodeDisconnect,
  encodeLog,
} from '../../src/protocol/messages.js'
import { NIL_UUID } from '../../src/protocol/uuid.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

const ID = '00000001111142228333444444444441'
const channelId = bytes(ID)
const target = { host: 'a', port: 80 }

describe('trailers', () => {
  const trailer = { keepsOrder: true }

  it('follow an empty Str8 in an AuthResponse without token', () => {
    expect(hex(encodeAuthResponse({ success: true, trailer }))).toBe('010201004c581100')
    expect(hex(encodeAuthResponse({ success: true, token: 'a', trailer }))).toBe('01020101614c581100')
  })

  it('are not written after a failed AuthResponse', () => {
    expect(hex(encodeAuthResponse({ success: false, error: 'a', trailer }))).toBe('0102000161')
  })

  it('stand alone to ask for extensions', () => {
    const auth = encodeAuth({ token: 'a', reverse: false, instance: NIL_UUID, trailer: {} })
    expect(hex(auth)).toBe(`0101016100${hex(NIL_UUID)}4c58`)
  })

  it('follow the Resume byte of Connect', () => {
    const tags = { streamControl: 65_536 }
    const tcp = encodeConnect({ protocol: ChannelProtocol.Tcp, channelId, target, trailer: tags })
    expect(hex(tcp)).toBe(`010301${ID}01610050004c58010400010000`)
    const udp = encodeConnect({ protocol: ChannelProtocol.Udp, channelId, trailer: {} })
    expect(hex(udp)).toBe(`010302${ID}004c58`)
    const resume = encodeConnect({ protocol: ChannelProtocol.Udp, channelId, resume: true })
    expect(hex(resume)).toBe(`010302${ID}01`)
  })

  it('follow the error of a failed ConnectResponse', () => {
    const failure = encodeConnectResponse({ success: false, channelId, error: 'a', trailer: { rep: 5 } })
    expect(hex(failure)).toBe(`010500${ID}01614c58020105`)
  })
})

describe('failures', () => {
  it('always carry an error, if only an empty one', () => {
    expect(hex(encodeAuthResponse({ success: false }))).toBe('01020000')
    expect(hex(encodeConnectResponse({ success: false, channelId }))).toBe(`010500${ID}00`)
    expect(hex(encodeConnectorResponse({ success: false, requestId: channelId }))).toBe(`0108${ID}0000`)
  })
})

describe('optional Str8', () => {
  it('is left out when absent and written when empty', () => {
    expect(hex(encodeDisconnect({ channelId }))).toBe(`0106${ID}`)
    expect(hex(encodeDisconnect({ channelId, error: '' }))).toBe(`0106${ID}00`)
    expect(hex(encodeConnectorResponse({ success: true, requestId: channelId }))).toBe(`0108${ID}01`)
  })
})

describe('long texts', () => {
  it.each([
    ['x'.repeat(255), 255],
    ['x'.repeat(256), 255],
    [`${'x'.repeat(253)}é`, 255],
    [`${'x'.repeat(254)}é`, 254],
    [`${'x'.repeat(252)}😀`, 252],
    [`${'x'.repeat(251)}😀`, 255],
  ])('are cut before the character that does not fit', (error, length) => {
    const message = encodeDisconnect({ channelId, error })
    expect(message[18]).toBe(length)
    expect(message.length).toBe(19 + length)
  })
})

describe('encodeDataHead', () => {
  it('writes 24 bytes that the payload follows', () => {
    const head = encodeDataHead(channelId, 0xffff_ffff, 0x10)
    expect(hex(head)).toBe(`010401${ID}10ffffffff`)
    expect(head.length).toBe(DATA_HEAD_BYTES)
  })
})

describe('encodeDatagram', () => {
  it('writes absent addresses as empty host and port 0', () => {
    expect(hex(encodeDatagram({ channelId, data: bytes('61') }))).toBe(`010402${ID}000000000161000000000000`)
  })
})

describe('mistakes of the caller', () => {
  it.each([-1, 65_536, 1.5, Number.NaN])('such as port %s are refused', (port) => {
    const connect = (): unknown =>
      encodeConnect({ protocol: ChannelProtocol.Tcp, channelId, target: { host: 'a', port } })
    expect(codeOf(connect)).toBe('ERR_MESSAGE_INVALID')
  })

  it('such as an id of another length are refused', () => {
    const short = channelId.subarray(1)
    expect(codeOf(() => encodeDataHead(short, 1))).toBe('ERR_MESSAGE_INVALID')
    expect(codeOf(() => encodeDisconnect({ channelId: short }))).toBe('ERR_MESSAGE_INVALID')
    expect(codeOf(() => encodeConnect({ protocol: 1, channelId: short, target }))).toBe('ERR_MESSAGE_INVALID')
  })

  it('such as a tcp Connect without target and a payload beyond 32 bits are refused', () => {
    expect(codeOf(() => encodeConnect({ protocol: ChannelProtocol.Tcp, channelId }))).toBe('ERR_MESSAGE_INVALID')
    expect(codeOf(() => encodeDataHead(channelId, 2 ** 32))).toBe('ERR_MESSAGE_INVALID')
  })

  it('such as a Log beyond 65,536 bytes are refused', () => {
    const log = (length: number): Uint8Array => encodeLog({ level: 'info', message: 'a'.repeat(length) })
    const frame = '{"level":"info","msg":""}'.length
    expect(log(65_536 - frame).length).toBe(6 + 65_536)
    expect(codeOf(() => log(65_537 - frame))).toBe('ERR_MESSAGE_TOO_LARGE')
  })
})
