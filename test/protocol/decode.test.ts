import { describe, expect, it } from 'vitest'
import { channelKeyOf, decodeMessage, messageType, messageVersion } from '../../src/protocol/messages.js'
import { bytes } from './hex.js'
import { codeOf, errorOf } from './thrown.js'

const ID = '00000001111142228333444444444441'

/** A Log or Partners message with the given JSON text. */
function json(type: string, text: string): Uint8Array {
  const body = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Uint8Array.of(1, Number.parseInt(type, 16), ...length, ...body)
}

describe('version and type', () => {
  it.each(['00', '01', '02', '0f'])('accepts version 0x%s', (version) => {
    expect(decodeMessage(bytes(`${version}0201`))).toEqual({ type: 2, success: true })
    expect(messageVersion(bytes(`${version}0201`))).toBe(Number.parseInt(version, 16))
  })

  it.each(['10', '11', '21', 'ff'])('refuses version 0x%s, whatever follows', (version) => {
    expect(codeOf(() => decodeMessage(bytes(`${version}0201`)))).toBe('ERR_MESSAGE_VERSION')
    expect(codeOf(() => messageType(bytes(version)))).toBe('ERR_MESSAGE_VERSION')
  })

  it.each(['00', '12', 'ef', 'f0', 'ff'])('answers undefined to Type 0x%s', (type) => {
    expect(decodeMessage(bytes(`01${type}`))).toBeUndefined()
    expect(messageType(bytes(`01${type}`))).toBe(Number.parseInt(type, 16))
    expect(channelKeyOf(bytes(`01${type}00${ID}`))).toBeUndefined()
  })

  it.each(['', '01'])('refuses the message "%s"', (wire) => {
    expect(codeOf(() => decodeMessage(bytes(wire)))).toBe('ERR_MESSAGE_TRUNCATED')
    expect(codeOf(() => messageType(bytes(wire)))).toBe('ERR_MESSAGE_TRUNCATED')
  })
})

describe('mandatory fields', () => {
  it.each([
    ['Auth', `0101 0161 01 ${ID}`],
    ['AuthResponse failure', '0102 00 0161'],
    ['Connect tcp', `0103 01 ${ID} 0161 0050`],
    ['Connect udp', `0103 02 ${ID}`],
    ['Data tcp', `0104 01 ${ID} 00 00000003 616263`],
    ['Data udp', `0104 02 ${ID} 00 00000001 61 0161 0050 0162 0051`],
    ['ConnectResponse success', `0105 01 ${ID}`],
    ['ConnectResponse failure', `0105 00 ${ID} 0161`],
    ['Disconnect', `0106 ${ID}`],
    ['Connector', `0107 ${ID} 0161 01`],
    ['ConnectorResponse success', `0108 ${ID} 01`],
    ['ConnectorResponse failure', `0108 ${ID} 00 0161`],
    ['Log', '0109 0000000b 7b226d7367223a2261227d'],
    ['Partners', '010a 0000000b 7b22636f756e74223a317d'],
    ['DirectStatus', '010d 00000002 7b7d'],
    [
      'ChannelDataAck',
      '0111 00000042 7b226368616e6e656c5f6964223a2235613366316464342d386639332d343737382d393131632d353464636637353035336236222c2273657175656e6365223a317d',
    ],
  ])('of %s are missed at every cut and nowhere else', (_name, wire) => {
    const whole = bytes(wire)
    expect(decodeMessage(whole)).toBeDefined()
    for (let length = 0; length < whole.length; length++) {
      expect(codeOf(() => decodeMessage(whole.subarray(0, length)))).toBe('ERR_MESSAGE_TRUNCATED')
    }
  })

  it.each([
    ['Disconnect', `0106 ${ID}`],
    ['AuthResponse', '0102 01'],
    ['ConnectorResponse', `0108 ${ID} 01`],
  ])('end before the optional Str8 of %s, which must then be whole', (_name, wire) => {
    expect(decodeMessage(bytes(wire))).toBeDefined()
    expect(decodeMessage(bytes(`${wire} 026162`))).toBeDefined()
    expect(codeOf(() => decodeMessage(bytes(`${wire} 02`)))).toBe('ERR_MESSAGE_TRUNCATED')
    expect(codeOf(() => decodeMessage(bytes(`${wire} 0261`)))).toBe('ERR_MESSAGE_TRUNCATED')
  })

  it('leave bytes after them alone', () => {
    expect(decodeMessage(bytes(`0103 01 ${ID} 0161 0050 ffff`))).toMatchObject({ target: { host: 'a', port: 80 } })
    expect(decodeMessage(bytes(`0104 01 ${ID} 00 00000001 61 62`))).toMatchObject({ data: bytes('61') })
    expect(decodeMessage(bytes(`0106 ${ID} 0161 62`))).toMatchObject({ error: 'a' })
    expect(decodeMessage(bytes('010a 0000000b 7b22636f756e74223a317d 7d'))).toMatchObject({ count: 1 })
  })

  it('are not found in a message that claims four gigabytes', () => {
    expect(codeOf(() => decodeMessage(bytes(`0104 01 ${ID} 00 ffffffff 61`)))).toBe('ERR_MESSAGE_TRUNCATED')
    expect(codeOf(() => decodeMessage(bytes('010b ffffffff 61')))).toBe('ERR_MESSAGE_TRUNCATED')
  })
})

describe('trailers in messages', () => {
  it('follow the Resume byte of Connect over tcp and udp', () => {
    const trailer = { streamControl: 524_288 }
    for (const [byte, resume] of [['00'], ['01', true], ['02', true]] as const) {
      const tcp = decodeMessage(bytes(`0103 01 ${ID} 0161 0050 ${byte} 4c58 01 04 00080000`))
      expect(tcp).toEqual({
        type: 3,
        protocol: 1,
        channelId: bytes(ID),
        target: { host: 'a', port: 80 },
        resume,
        trailer,
      })
      const udp = decodeMessage(bytes(`0103 02 ${ID} ${byte} 4c58 01 04 00080000`))
      expect(udp).toEqual({ type: 3, protocol: 2, channelId: bytes(ID), resume, trailer })
    }
  })

  it('are taken without a Resume byte too, which early builds left out', () => {
    const message = decodeMessage(bytes(`0103 01 ${ID} 0161 0050 4c58 01 04 00080000`))
    expect(message).toMatchObject({ trailer: { streamControl: 524_288 } })
    expect(message).not.toHaveProperty('resume', true)
  })

  it('are no trailer where another byte stands before them', () => {
    expect(decodeMessage(bytes(`0103 01 ${ID} 0161 0050 4c`))).toMatchObject({ resume: true })
  })

  it('follow the error of a failed ConnectResponse', () => {
    const message = decodeMessage(bytes(`0105 00 ${ID} 0161 4c58 02 01 05`))
    expect(message).toMatchObject({ error: 'a', trailer: { rep: 5 } })
  })

  it('follow the Str8 of AuthResponse, empty or not', () => {
    const empty = decodeMessage(bytes('0102 01 00 4c58 11 00'))
    expect(empty).toEqual({ type: 2, success: true, trailer: { keepsOrder: true } })
    const assigned = decodeMessage(bytes('0102 01 0161 4c58 11 00'))
    expect(assigned).toEqual({ type: 2, success: true, token: 'a', trailer: { keepsOrder: true } })
  })

  it('are no trailer where the Str8 of AuthResponse stands', () => {
    expect(codeOf(() => decodeMessage(bytes('0102 01 4c58 11 00')))).toBe('ERR_MESSAGE_TRUNCATED')
  })

  it('leave the message readable when they are broken', () => {
    const message = decodeMessage(bytes(`0105 01 ${ID} 4c58 01 03 000800`))
    expect(message).toEqual({ type: 5, success: true, channelId: bytes(ID) })
  })
})

describe('odd values', () => {
  it('of Protocol in Connect are decoded without a target', () => {
    const message = decodeMessage(bytes(`0103 03 ${ID} 0161 0050 4c58`))
    expect(message).toEqual({ type: 3, protocol: 3, channelId: bytes(ID) })
  })

  it('of Compression and Protocol in Data are handed on', () => {
    const message = decodeMessage(bytes(`0104 07 ${ID} 99 00000001 61`))
    expect(message).toMatchObject({ protocol: 7, compression: 0x99, data: bytes('61') })
  })

  it('of flags mean no', () => {
    expect(decodeMessage(bytes(`0101 0161 02 ${ID}`))).toMatchObject({ reverse: false })
    expect(decodeMessage(bytes('0102 02 0161'))).toMatchObject({ success: false, error: 'a' })
  })

  it('include port 0 and an empty host', () => {
    expect(decodeMessage(bytes(`0103 01 ${ID} 00 0000`))).toMatchObject({ target: { host: '', port: 0 } })
  })

  it('of text become U+FFFD, and a byte order mark stays', () => {
    expect(decodeMessage(bytes(`0103 01 ${ID} 03 61ff62 0050`))).toMatchObject({ target: { host: 'a\ufffdb' } })
    expect(decodeMessage(bytes(`0101 04 efbbbf61 00 ${ID}`))).toMatchObject({ token: '\ufeffa' })
  })

  it('tell an absent from an empty error in Disconnect', () => {
    expect(decodeMessage(bytes(`0106 ${ID}`))).toEqual({ type: 6, channelId: bytes(ID), error: undefined })
    expect(decodeMessage(bytes(`0106 ${ID} 00`))).toEqual({ type: 6, channelId: bytes(ID), error: '' })
  })
})

describe('messages about channels that move', () => {
  const CHANNEL = '"channel_id":"11111111-2222-4333-8444-444444444401"'

  it.each([
    ['0e', '{}'],
    ['0e', `{${CHANNEL},"protocol":"tcp"}`],
    ['0e', `{${CHANNEL},"protocol":"sctp","peer_session_id":"00000000-0000-0000-0000-000000000000"}`],
    ['0e', '{"channel_id":"11111111","protocol":"udp","peer_session_id":"00000000-0000-0000-0000-000000000000"}'],
    ['0f', '{"reason":"a"}'],
    ['0f', `{${CHANNEL},"reason":7}`],
    ['10', `{${CHANNEL}}`],
    ['10', `{${CHANNEL},"success":1}`],
    ['10', `{${CHANNEL},"success":false,"error":null}`],
    ['11', `{${CHANNEL}}`],
    ['11', `{${CHANNEL},"sequence":-1}`],
    ['11', `{${CHANNEL},"sequence":1.5}`],
    ['11', `{${CHANNEL},"sequence":9007199254740992}`],
    ['11', `{${CHANNEL},"sequence":"1"}`],
    ['11', '[]'],
    ['11', '{'],
  ])('are refused when they are broken: type %s, %s', (type, text) => {
    expect(codeOf(() => decodeMessage(json(type, text)))).toBe('ERR_MESSAGE_INVALID')
  })

  it('may have keys that nobody knows, and leave out a text that is empty', () => {
    const channelId = bytes('11111111222243338444444444444401')
    expect(decodeMessage(json('0f', `{"new":[1],${CHANNEL}}`))).toEqual({ type: 15, channelId })
    expect(decodeMessage(json('10', `{${CHANNEL},"success":true,"error":""}`))).toEqual({
      type: 16,
      channelId,
      success: true,
    })
  })

  it.each(['0e', '0f', '10', '11'])('of type %s have 65,536 bytes of JSON at most', (type) => {
    expect(codeOf(() => decodeMessage(json(type, `"${'a'.repeat(65_534)}"`)))).toBe('ERR_MESSAGE_INVALID')
    expect(codeOf(() => decodeMessage(json(type, `"${'a'.repeat(65_535)}"`)))).toBe('ERR_MESSAGE_TOO_LARGE')
  })
})

describe('Log and Partners', () => {
  it.each(['', '{', 'null', '1', '"a"', '[]', '{}', '{"msg":1}', '{"msg":null}'])('refuse the Log %s', (text) => {
    expect(codeOf(() => decodeMessage(json('09', text)))).toBe('ERR_MESSAGE_INVALID')
  })

  it.each(['{"count":-1}', '{"count":1.5}', '{"count":"1"}', '{"count":1e300}', '{"count":null}', '{}', '[1]'])(
    'refuse the Partners %s',
    (text) => {
      expect(codeOf(() => decodeMessage(json('0a', text)))).toBe('ERR_MESSAGE_INVALID')
    },
  )

  it.each(['{"msg":"a"}', '{"msg":"a","level":"fatal"}', '{"msg":"a","level":7}'])('take %s as info', (text) => {
    expect(decodeMessage(json('09', text))).toEqual({ type: 9, level: 'info', message: 'a' })
  })

  it('read 65,536 bytes of JSON and not one more', () => {
    const text = (length: number): string => `{"msg":"${'a'.repeat(length - 10)}"}`
    expect(decodeMessage(json('09', text(65_536)))).toMatchObject({ message: 'a'.repeat(65_526) })
    expect(codeOf(() => decodeMessage(json('09', text(65_537))))).toBe('ERR_MESSAGE_TOO_LARGE')
  })

  it('survive the deepest nesting that fits', () => {
    const deep = `${'['.repeat(32_768)}${']'.repeat(32_768)}`
    expect(codeOf(() => decodeMessage(json('0a', deep)))).toBe('ERR_MESSAGE_INVALID')
  })

  it('keep the bytes of broken JSON out of the error', () => {
    const error = errorOf(() => decodeMessage(json('09', '{"msg":"s3cret"')))
    expect(error.message).not.toContain('s3cret')
    expect(error.cause).toBeUndefined()
  })
})
