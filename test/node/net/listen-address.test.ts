import { describe, expect, it } from 'vitest'
import { listenText, parseListenAddress } from '../../../src/node/net/listen-address.js'

const LONGEST_PATH = `/${'x'.repeat(102)}`

describe('parseListenAddress', () => {
  it.each([
    ['ws://0.0.0.0:8765', { host: '0.0.0.0', port: 8765, tls: false }],
    ['wss://[::]:443', { host: '::', port: 443, tls: true }],
    ['WSS://localhost:8443/', { host: 'localhost', port: 8443, tls: true }],
    ['ws://relay.test', { host: 'relay.test', port: 80, tls: false }],
    ['wss://[::ffff:192.0.2.1]', { host: '::ffff:192.0.2.1', port: 443, tls: true }],
    ['ws://127.0.0.1:0', { host: '127.0.0.1', port: 0, tls: false }],
    ['ws://127.0.0.1:65535', { host: '127.0.0.1', port: 65_535, tls: false }],
    ['ws+unix:/run/a.sock', { path: '/run/a.sock' }],
    ['ws+unix:///run/a b@:.sock', { path: '/run/a b@:.sock' }],
    [`ws+unix:${LONGEST_PATH}`, { path: LONGEST_PATH }],
    ['ws+fd:3', { fd: 3, tls: false }],
    ['WSS+FD://1048575', { fd: 1_048_575, tls: true }],
  ])('reads %s', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address)
  })

  it.each([
    '',
    'ws:',
    'ws://',
    'ws://:80',
    '127.0.0.1:80',
    'http://127.0.0.1:80',
    'ws://user@host:80',
    'ws://host:80/path',
    'ws://host:80?query',
    'ws://host:',
    'ws://host:123456',
    'ws://::1:80',
    'ws://[::1',
    'ws://[::1%lo]:80',
    'ws://a b:80',
    'wss+unix:/run/a.sock',
    'ws+unix:a.sock',
    ' ws://host:80',
    'ws+fd:',
    'ws+fd:-3',
    'ws+fd:0x3',
    'wss+fd:3/',
    'ws+fd:1234567890',
  ])('refuses %j, and says which forms there are', (text) => {
    expect(() => parseListenAddress(text)).toThrow(
      `must be ws://HOST:PORT, wss://HOST:PORT, ws+unix:/PATH or ws+fd:NUMBER, not '${text}'`,
    )
  })

  it('refuses descriptors that nobody passes', () => {
    for (const fd of ['0', '2', '1048576', '999999999']) {
      expect(() => parseListenAddress(`ws+fd:${fd}`), fd).toThrow('a descriptor is a number from 3 to 1048575')
    }
  })

  it('refuses ports and paths beyond their limits', () => {
    expect(() => parseListenAddress('ws://host:65536')).toThrow('65536 is not a port number')
    for (const path of [`${LONGEST_PATH}x`, `/${'é'.repeat(52)}`, '/run/', '/', '/a\0b']) {
      expect(() => parseListenAddress(`ws+unix:${path}`), path).toThrow(
        'the path of a Unix socket has at most 103 bytes and ends in a name',
      )
    }
  })
})

describe('listenText', () => {
  it.each(['ws://0.0.0.0:8765', 'wss://[::]:443', 'ws+unix:/run/a.sock', 'ws+fd:3', 'wss+fd:4'])(
    'writes %s as it is read',
    (text) => {
      expect(listenText(parseListenAddress(text))).toBe(text)
    },
  )

  it('writes the port that is the usual one, and no TLS where none is named', () => {
    expect(listenText(parseListenAddress('wss://relay.test'))).toBe('wss://relay.test:443')
    expect(listenText({ host: '::1', port: 1 })).toBe('ws://[::1]:1')
  })
})
