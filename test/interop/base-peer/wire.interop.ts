import { describe, expect, it } from 'vitest'
import {
  admitted,
  auth,
  compressed,
  connect,
  connected,
  connector,
  connectorAdded,
  connectorRefused,
  data,
  datagramFrom,
  datagramTo,
  disconnect,
  log,
  type Message,
  partners,
  read,
  refused,
  rejected,
} from '../peers/base-wire.js'

/** `AAAA`, as Go's compress/gzip writes it. */
const GO_GZIP = Buffer.from('1f8b08000000000000ff7274747404040000fffff1080d9b04000000', 'hex')

/** Messages as the deployed program sent them, and how the scripted peer writes the same. */
const CAPTURED: readonly (readonly [what: string, hex: string, write: (message: Message) => Buffer])[] = [
  ['Auth', '010104746f6b310175551400801746648e7113bfb97c5e53', (m) => auth('tok1', true, m.id)],
  ['AuthResponse, success', '010201', () => admitted()],
  ['AuthResponse, failure', '0102000d696e76616c696420746f6b656e', () => rejected('invalid token')],
  [
    'Log of a server',
    '0109000000437b226c6576656c223a226465627567222c226d7367223a226c696e6b736f636b735f7365727665725f68656c6c6f3a6469726563745f7369676e616c696e673d31227d',
    () => log('debug', 'linksocks_server_hello:direct_signaling=1'),
  ],
  [
    'Log of a client',
    '0109000000437b226c6576656c223a226465627567222c226d7367223a226c696e6b736f636b735f636c69656e745f68656c6c6f3a6469726563745f7369676e616c696e673d31227d',
    () => log('debug', 'linksocks_client_hello:direct_signaling=1'),
  ],
  ['Partners', '010a0000000b7b22636f756e74223a317d', () => partners(1)],
  [
    'Connect to an address',
    '0103013dfad24bcf6c4b7fa4aa43f2098b21fc07392e392e392e390050',
    (m) => connect(m.id, '9.9.9.9', 80),
  ],
  [
    'Connect to a name',
    '010301545caf673f4c4d1abf5f65660145a1a30c6578616d706c652e7465737401bb',
    (m) => connect(m.id, 'example.test', 443),
  ],
  ['ConnectResponse, success', '01050100000001111142228333444444444441', (m) => connected(m.id)],
  [
    'ConnectResponse, failure of an exit',
    '01050000000002111142228333444444444442316469616c20746370203132372e302e302e313a313a20636f6e6e6563743a20636f6e6e656374696f6e2072656675736564',
    (m) => refused(m.id, 'dial tcp 127.0.0.1:1: connect: connection refused'),
  ],
  [
    'ConnectResponse, failure of a relay',
    '010500000000011111422283334444444444011c6e6f20617661696c61626c65207265766572736520636c69656e7473',
    (m) => refused(m.id, 'no available reverse clients'),
  ],
  ['Data, tcp', '01040100000001111142228333444444444441000000000568656c6c6f', (m) => data(m.id, 'hello')],
  [
    'Data, tcp, gzip',
    '01040100000002111142228333444444444402010000001c1f8b08000000000000ff7274747404040000fffff1080d9b04000000',
    (m) => compressed(m.id, GO_GZIP),
  ],
  [
    'Data, udp, to a destination',
    '0104028cc8b699a53349ba80acc74bb37fffac0000000001710000000b646e732e6578616d706c650035',
    (m) => datagramTo(m.id, { host: 'dns.example', port: 53 }, Buffer.from('q')),
  ],
  [
    'Data, udp, from a source',
    '01040200000005111142228333444444444445000000000470696e67093132372e302e302e31cd0a000000',
    (m) => datagramFrom(m.id, { host: '127.0.0.1', port: 52_490 }, Buffer.from('ping')),
  ],
  ['Disconnect at an end of file', '01060000000111114222833344444444444103454f46', (m) => disconnect(m.id, 'EOF')],
  ['Connector', '0107eb46daa8a89547f78ea3b83ad31cdb8f066d79636f6e6e01', (m) => connector(m.id, 'myconn', 1)],
  [
    'ConnectorResponse, success',
    '010800000082111142228333444444444482011036353263666562616266616237396261',
    (m) => connectorAdded(m.id, '652cfebabfab79ba'),
  ],
  [
    'ConnectorResponse, failure',
    '010800000085111142228333444444444485001e636f6e6e6563746f7220746f6b656e20616c726561647920657869737473',
    (m) => connectorRefused(m.id, 'connector token already exists'),
  ],
]

describe('the scripted base-protocol peer', () => {
  it.each(CAPTURED)('reads and writes %s as the deployed program does', (_, hex, write) => {
    const message = read(Buffer.from(hex, 'hex'))
    expect(write(message).toString('hex')).toBe(hex)
  })

  it('inflates what the deployed relay compressed', () => {
    const [, hex] = CAPTURED.find(([what]) => what === 'Data, tcp, gzip') ?? ['', '']
    expect(read(Buffer.from(hex, 'hex')).data.toString()).toBe('AAAA')
  })
})
