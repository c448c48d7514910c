/** Messages captured from the deployed program, both ways. */
import { describe, expect, it } from 'vitest'
import type { Message } from '../../src/protocol/messages.js'
import { channelKeyOf, decodeMessage } from '../../src/protocol/messages.js'
import { channelKey } from '../../src/protocol/uuid.js'
import { encodeMessage } from './arbitraries.js'
import { bytes, hex } from './hex.js'
import { oracleDecode } from './oracle.js'

const channel = (first: string, last: string): Uint8Array => bytes(`${first}1111422283334444444444${last}`)

const vectors: readonly (readonly [name: string, wire: string, message: Message])[] = [
  [
    'Auth in-band',
    '010104746f6b310175551400801746648e7113bfb97c5e53',
    { type: 1, token: 'tok1', reverse: true, instance: bytes('75551400801746648e7113bfb97c5e53') },
  ],
  ['AuthResponse success', '010201', { type: 2, success: true }],
  [
    'AuthResponse invalid token',
    '0102000d696e76616c696420746f6b656e',
    { type: 2, success: false, error: 'invalid token' },
  ],
  [
    'AuthResponse invalid token format',
    '01020014696e76616c696420746f6b656e20666f726d6174',
    { type: 2, success: false, error: 'invalid token format' },
  ],
  [
    'Log server hello',
    '0109000000437b226c6576656c223a226465627567222c226d7367223a226c696e6b736f636b735f7365727665725f68656c6c6f3a6469726563745f7369676e616c696e673d31227d',
    { type: 9, level: 'debug', message: 'linksocks_server_hello:direct_signaling=1' },
  ],
  [
    'Log client hello',
    '0109000000437b226c6576656c223a226465627567222c226d7367223a226c696e6b736f636b735f636c69656e745f68656c6c6f3a6469726563745f7369676e616c696e673d31227d',
    { type: 9, level: 'debug', message: 'linksocks_client_hello:direct_signaling=1' },
  ],
  ['Partners', '010a0000000b7b22636f756e74223a317d', { type: 10, count: 1 }],
  [
    'Connect to an IPv4 address',
    '0103013dfad24bcf6c4b7fa4aa43f2098b21fc07392e392e392e390050',
    {
      type: 3,
      protocol: 1,
      channelId: bytes('3dfad24bcf6c4b7fa4aa43f2098b21fc'),
      target: { host: '9.9.9.9', port: 80 },
    },
  ],
  [
    'Connect to a domain',
    '010301545caf673f4c4d1abf5f65660145a1a30c6578616d706c652e7465737401bb',
    {
      type: 3,
      protocol: 1,
      channelId: bytes('545caf673f4c4d1abf5f65660145a1a3'),
      target: { host: 'example.test', port: 443 },
    },
  ],
  [
    'ConnectResponse success',
    '01050100000001111142228333444444444441',
    { type: 5, success: true, channelId: channel('00000001', '41') },
  ],
  [
    'ConnectResponse refused',
    '01050000000002111142228333444444444442316469616c20746370203132372e302e302e313a313a20636f6e6e6563743a20636f6e6e656374696f6e2072656675736564',
    {
      type: 5,
      success: false,
      channelId: channel('00000002', '42'),
      error: 'dial tcp 127.0.0.1:1: connect: connection refused',
    },
  ],
  [
    'ConnectResponse of a relay without provider',
    '010500000000011111422283334444444444011c6e6f20617661696c61626c65207265766572736520636c69656e7473',
    { type: 5, success: false, channelId: channel('00000001', '01'), error: 'no available reverse clients' },
  ],
  [
    'Data tcp',
    '01040100000001111142228333444444444441000000000568656c6c6f',
    { type: 4, protocol: 1, channelId: channel('00000001', '41'), compression: 0, data: bytes('68656c6c6f') },
  ],
  [
    'Data tcp gzip',
    '01040100000002111142228333444444444402010000001c1f8b08000000000000ff7274747404040000fffff1080d9b04000000',
    {
      type: 4,
      protocol: 1,
      channelId: channel('00000002', '02'),
      compression: 1,
      data: bytes('1f8b08000000000000ff7274747404040000fffff1080d9b04000000'),
    },
  ],
  [
    'Data udp to the exit',
    '0104028cc8b699a53349ba80acc74bb37fffac0000000001710000000b646e732e6578616d706c650035',
    {
      type: 4,
      protocol: 2,
      channelId: bytes('8cc8b699a53349ba80acc74bb37fffac'),
      compression: 0,
      data: bytes('71'),
      source: { host: '', port: 0 },
      target: { host: 'dns.example', port: 53 },
    },
  ],
  [
    'Data udp from the exit',
    '01040200000005111142228333444444444445000000000470696e67093132372e302e302e31cd0a000000',
    {
      type: 4,
      protocol: 2,
      channelId: channel('00000005', '45'),
      compression: 0,
      data: bytes('70696e67'),
      source: { host: '127.0.0.1', port: 52_490 },
      target: { host: '', port: 0 },
    },
  ],
  [
    'Disconnect EOF',
    '01060000000111114222833344444444444103454f46',
    { type: 6, channelId: channel('00000001', '41'), error: 'EOF' },
  ],
  [
    'Connector add',
    '0107eb46daa8a89547f78ea3b83ad31cdb8f066d79636f6e6e01',
    { type: 7, requestId: bytes('eb46daa8a89547f78ea3b83ad31cdb8f'), token: 'myconn', operation: 1 },
  ],
  [
    'ConnectorResponse with a generated token',
    '010800000082111142228333444444444482011036353263666562616266616237396261',
    { type: 8, requestId: channel('00000082', '82'), success: true, token: '652cfebabfab79ba' },
  ],
  [
    'ConnectorResponse failure',
    '010800000085111142228333444444444485001e636f6e6e6563746f7220746f6b656e20616c726561647920657869737473',
    {
      type: 8,
      requestId: channel('00000085', '85'),
      success: false,
      error: 'connector token already exists',
    },
  ],
]

const moved = bytes('5a3f1dd48f934778911c54dcf75053b6')

/** Of releases since 1.10, which write another minor version; ours sends none of these. */
const later: readonly (readonly [name: string, wire: string, message: Message])[] = [
  [
    'Connect',
    `020301c692e0074c7e481882fc7a1fe1bf3a270c${text('example.test')}0050`,
    {
      type: 3,
      protocol: 1,
      channelId: bytes('c692e0074c7e481882fc7a1fe1bf3a27'),
      target: { host: 'example.test', port: 80 },
    },
  ],
  [
    'Connect that asks to resume',
    `020301c692e0074c7e481882fc7a1fe1bf3a270c${text('example.test')}005001`,
    {
      type: 3,
      protocol: 1,
      channelId: bytes('c692e0074c7e481882fc7a1fe1bf3a27'),
      target: { host: 'example.test', port: 80 },
      resume: true,
    },
  ],
  [
    'Connect over udp that asks to resume',
    '0203021111111122224333844444444444440101',
    { type: 3, protocol: 2, channelId: bytes('11111111222243338444444444444401'), resume: true },
  ],
  ['AuthResponse', '020201', { type: 2, success: true }],
  ['AuthResponse with a token', `02020108${text('assigned')}`, { type: 2, success: true, token: 'assigned' }],
  [
    'Data with a Sequence',
    `0204015a3f1dd48f934778911c54dcf75053b6000000000b${text('over direct')}0000000000000001`,
    { type: 4, protocol: 1, channelId: moved, compression: 0, data: bytes(text('over direct')) },
  ],
  [
    'Data over udp with a Sequence',
    `02040211111111222243338444444444444401000000000568656c6c6f00000009${text('127.0.0.1')}00350000000000000001`,
    {
      type: 4,
      protocol: 2,
      channelId: bytes('11111111222243338444444444444401'),
      compression: 0,
      data: bytes(text('hello')),
      source: { host: '', port: 0 },
      target: { host: '127.0.0.1', port: 53 },
    },
  ],
  [
    'ChannelBind',
    `020e0000007f${text('{"channel_id":"5a3f1dd4-8f93-4778-911c-54dcf75053b6","protocol":"tcp","peer_session_id":"50dc9e95-f7ae-4c5e-afef-1036b1c5ed8e"}')}`,
    { type: 14, channelId: moved, protocol: 'tcp', peerSession: bytes('50dc9e95f7ae4c5eafef1036b1c5ed8e') },
  ],
  [
    'ChannelMigrate',
    '020f000000687b226368616e6e656c5f6964223a2235613366316464342d386639332d343737382d393131632d353464636637353035336236222c22726561736f6e223a224170706c69636174696f6e206572726f7220307830202872656d6f7465293a20636c6f73696e67227d',
    { type: 15, channelId: moved, reason: 'Application error 0x0 (remote): closing' },
  ],
  [
    'ChannelMigrateAck',
    `021000000044${text('{"channel_id":"5a3f1dd4-8f93-4778-911c-54dcf75053b6","success":true}')}`,
    { type: 16, channelId: moved, success: true },
  ],
  [
    'ChannelMigrateAck that refuses',
    `02100000005f${text('{"channel_id":"49b18270-d875-4a21-d180-b127a1e1f217","success":false,"error":"unknown channel"}')}`,
    { type: 16, channelId: bytes('49b18270d8754a21d180b127a1e1f217'), success: false, error: 'unknown channel' },
  ],
  [
    'ChannelDataAck',
    '0211000000427b226368616e6e656c5f6964223a2235613366316464342d386639332d343737382d393131632d353464636637353035336236222c2273657175656e6365223a317d',
    { type: 17, channelId: moved, sequence: 1 },
  ],
]

describe('captured messages of releases since 1.10', () => {
  it.each(later)('read: %s', (_name, wire, message) => {
    expect(decodeMessage(bytes(wire))).toEqual(message)
  })

  it.each(later)('read by the oracle as well: %s', (_name, wire, message) => {
    expect(oracleDecode(bytes(wire))).toEqual(message)
  })
})

describe('captured messages', () => {
  it.each(vectors)('reads %s', (_name, wire, message) => {
    expect(decodeMessage(bytes(wire))).toEqual(message)
  })

  it.each(vectors)('writes %s to the byte', (_name, wire, message) => {
    expect(hex(encodeMessage(message))).toBe(wire)
  })

  it.each(vectors)('finds the channel of %s without decoding it', (_name, wire, message) => {
    expect(channelKeyOf(bytes(wire))).toBe('channelId' in message ? channelKey(message.channelId) : undefined)
  })

  it.each(vectors)('reads %s out of a Buffer in a larger memory', (_name, wire, message) => {
    const memory = Buffer.from(`ffff${wire}ffff`, 'hex')
    const decoded = decodeMessage(memory.subarray(2, -2))
    expect(JSON.stringify(plain(decoded))).toBe(JSON.stringify(plain(message)))
  })
})

function text(value: string): string {
  return Buffer.from(value).toString('hex')
}

/** Fields sorted, bytes as hex, so that a Buffer equals a Uint8Array. */
function plain(message: Message | undefined): unknown {
  const fields = Object.entries(message ?? {}).filter(([, value]) => value !== undefined)
  return fields
    .map(([key, value]) => [key, value instanceof Uint8Array ? hex(value) : value])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
}
