import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { CapturedLink, type End } from './support/capture.js'
import { faultsOf } from './support/captured-rules.js'
import { readPartA } from './support/frames/part-a.js'

const CHANNEL = '00000001111142228333444444444441'
const CONNECT = `010301${CHANNEL}0161 0050`
const OFFER = '00 4c58 01 04 00080000'
const ADMITTED = '010201'

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

/** A link with a handshake of ours and these messages, the sender first: `c:` or `s:`. */
function link(messages: readonly string[], url = '/socket?token=x&reverse=false&instance=y', binary = true) {
  const captured = new CapturedLink({ url, headers: {} } as IncomingMessage)
  for (const message of messages) {
    const from: End = message.startsWith('c:') ? 'client' : 'server'
    captured.messages.push({ from, bytes: bytes(message.slice(2)), binary })
  }
  return captured
}

describe('the strict reader of part A', () => {
  it.each([
    ['Auth', `0101 0161 00 ${CHANNEL}`],
    ['Auth', `0101 0161 00 ${CHANNEL} 4c58`],
    ['AuthResponse', '0102 01'],
    ['AuthResponse', '0102 01 00 4c58 11 00'],
    ['AuthResponse', '0102 00 0161'],
    ['Connect', CONNECT],
    ['Connect', `${CONNECT} ${OFFER}`],
    ['Connect', `010302 ${CHANNEL}`],
    ['Data', `010401 ${CHANNEL} 01 00000002 6161`],
    ['Data', `010402 ${CHANNEL} 00 00000001 61 00 0000 0161 0050`],
    ['ConnectResponse', `010501 ${CHANNEL} 4c58 01 04 00080000`],
    ['ConnectResponse', `010500 ${CHANNEL} 0161 4c58 02 01 05`],
    ['Disconnect', `0106 ${CHANNEL}`],
    ['Disconnect', `0106 ${CHANNEL} 03 454f46`],
    ['Connector', `0107 ${CHANNEL} 0161 01`],
    ['ConnectorResponse', `0108 ${CHANNEL} 01 0161`],
    ['Partners', '010a 00000002 7b7d'],
  ])('takes %s %s', (name, wire) => {
    expect(readPartA(bytes(wire))).toMatchObject({ name, outside: [] })
  })

  it.each([
    ['another version', `02${CONNECT.slice(2)}`, 'Version is 0x02'],
    ['an unknown type', '010e00000000', 'Type is 0x0e'],
    ['control of a session', '01f002', 'Type is 0xf0'],
    ['a control frame', `010401 ${CHANNEL} 10 00000005 0100000001`, 'Compression is 0x10'],
    ['a trailer where Resume stands', `${CONNECT} 4c58`, 'Resume is 0x4c'],
    ['a sequence behind Data', `010401 ${CHANNEL} 00 00000001 61 0000000000000001`, '8 bytes behind the fields'],
    ['a trailer behind Disconnect', `0106 ${CHANNEL} 00 4c58`, '2 bytes behind the fields'],
    ['a trailer behind Data', `010401 ${CHANNEL} 00 00000000 4c58`, '2 bytes behind the fields'],
    ['a tag of another message', `${CONNECT} 00 4c58 11 00`, 'tag 0x11 of 0 bytes in the trailer of Connect'],
    ['an unknown tag', `${CONNECT} 00 4c58 77 00`, 'tag 0x77 of 0 bytes in the trailer of Connect'],
    ['a message that is cut', CONNECT.slice(0, -2), 'ends inside the port of Address'],
    ['broken UTF-8', `0106 ${CHANNEL} 01 ff`, 'the optional text is not UTF-8'],
  ])('finds %s', (_name, wire, fault) => {
    expect(readPartA(bytes(wire)).outside).toContain(fault)
  })
})

describe('the rules of a captured link', () => {
  it('have nothing against a usual link', () => {
    const usual = link([`s:${ADMITTED}`, `c:${CONNECT}${OFFER}`, `s:010501${CHANNEL}`, `c:0106${CHANNEL}`])
    expect([...faultsOf(usual, 'client'), ...faultsOf(usual, 'server')]).toEqual([])
    const inBand = link([`c:0101 0161 00 ${CHANNEL} 4c58`, 's:0102 01 00 4c58 11 00'], '/socket/x')
    expect([...faultsOf(inBand, 'client'), ...faultsOf(inBand, 'server')]).toEqual([])
  })

  it.each([
    ['client', [`s:${ADMITTED}`, 'c:0109 00000002 7b7d'], 'Log: is never sent by a client'],
    ['server', [`s:${ADMITTED}`, 's:0109 00000002 7b7d'], 'Log: is never sent by a server'],
    ['server', ['s:010a 00000002 7b7d'], 'Partners: comes before AuthResponse'],
    ['server', ['s:0102 01 00 4c58 11 00'], 'AuthResponse: has a trailer that nobody asked for'],
    ['client', [`c:${CONNECT}`], 'Connect: comes before the answer to the authentication'],
    ['client', [`s:${ADMITTED}`, `c:0101 0161 00 ${CHANNEL}`], 'Auth: is not expected'],
    [
      'server',
      [`s:${ADMITTED}`, `c:${CONNECT}`, `s:010501${CHANNEL} 4c58 01 04 00080000`],
      'ConnectResponse: grants stream control that nobody offered',
    ],
    ['server', [`s:${ADMITTED}`, `s:010401${CHANNEL} 10 00000000`], 'Data: Compression is 0x10'],
  ] as const)('find what a %s must not send: %s', (ours, messages, fault) => {
    expect(faultsOf(link(messages), ours).map((line) => line.split(': ').slice(0, 2).join(': '))).toEqual([fault])
  })

  it('find text messages, subprotocols, compression and unknown parameters', () => {
    const text = link([`s:${ADMITTED}`], '/socket?token=x', false)
    expect(faultsOf(text, 'server')[0]).toContain('AuthResponse: is a text message')
    const odd = new CapturedLink({ url: '/socket?token=x&more=1', headers: {} } as IncomingMessage)
    odd.request['sec-websocket-protocol'] = 'linksocks'
    odd.answer = { 'sec-websocket-extensions': 'permessage-deflate' }
    expect(faultsOf(odd, 'client')).toEqual(['handshake: sec-websocket-protocol', 'URL parameter more'])
    expect(faultsOf(odd, 'server')).toEqual(['handshake: sec-websocket-extensions'])
  })
})
