import { describe, expect, it } from 'vitest'
import {
  checkDescriptors,
  checkListen,
  checkListenAddress,
  checkSocketList,
  inheritedDescriptors,
  listenAddresses,
  MAX_LISTEN_ADDRESSES,
  MAX_SOCKS_SOCKETS,
  needsTls,
} from '../../src/node/listen-options.js'
import type { ServerOptions } from '../../src/node/options.js'

const CERTIFICATES = { certificates: [{ certFile: 'c', keyFile: 'k' }] }
const ACME = { domains: ['a.test'] }

describe('listenAddresses()', () => {
  it.each<[ServerOptions, readonly object[]]>([
    [{}, [{ host: '0.0.0.0', port: 8765, tls: false }]],
    [{ host: '::1', port: 1 }, [{ host: '::1', port: 1, tls: false }]],
    [{ tls: CERTIFICATES }, [{ host: '0.0.0.0', port: 8765, tls: true }]],
    [{ acme: ACME }, [{ host: '0.0.0.0', port: 443, tls: true }]],
    [{ acme: ACME, port: 8443 }, [{ host: '0.0.0.0', port: 8443, tls: true }]],
    [
      { listen: ['ws://127.0.0.1:1', 'wss://[::]', 'ws+unix:/run/x'], tls: CERTIFICATES },
      [{ host: '127.0.0.1', port: 1, tls: false }, { host: '::', port: 443, tls: true }, { path: '/run/x' }],
    ],
  ])('of %j', (options, addresses) => {
    expect(listenAddresses(options)).toEqual(addresses)
    expect(needsTls(options)).toBe(addresses.some((address) => 'tls' in address && address.tls === true))
    expect(() => checkListen(options)).not.toThrow()
  })
})

/** As JavaScript may give it. */
const otherAuth = (clientAuth: unknown): ServerOptions['tls'] => ({
  ...{ ...CERTIFICATES, clientCaFile: 'ca.pem' },
  clientAuth: clientAuth as 'required',
})

describe('checkListen()', () => {
  it.each<[string, ServerOptions]>([
    ['listen takes the place of host and port: leave them out', { listen: ['ws://h:1'], port: 1 }],
    ['listen takes the place of host and port: leave them out', { listen: ['ws://h:1'], host: 'h' }],
    ['listen must be 1 to 16 addresses', { listen: [] }],
    ['listen must be 1 to 16 addresses', { listen: new Array(MAX_LISTEN_ADDRESSES + 1).fill('ws://h:1') }],
    ['listen[1]: must be ws://HOST:PORT', { listen: ['ws://h:1', 'h:2'] }],
    ['wss:// needs certificates: tls.certificates or acme', { listen: ['wss://h:1'] }],
    ['certificates are for an address with TLS: wss://', { listen: ['ws://h:1'], tls: CERTIFICATES }],
    ['certificates are for an address with TLS: wss://', { tls: { clientCaFile: 'ca' } }],
    ["tls.clientAuth must be 'required' or 'optional'", { tls: otherAuth('Required') }],
    ["tls.clientAuth must be 'required' or 'optional'", { tls: otherAuth(null) }],
    ['tls.clientAuth needs tls.clientCaFile', { tls: { ...CERTIFICATES, clientAuth: 'optional' } }],
  ])('says: %s', (message, options) => {
    expect(() => checkListen(options)).toThrow(message)
  })

  it('takes as many addresses as there may be', () => {
    const listen = Array.from({ length: MAX_LISTEN_ADDRESSES }, (_, index) => `ws://127.0.0.1:${index + 1}`)
    expect(() => checkListen({ listen })).not.toThrow()
  })
})

describe('descriptors', () => {
  it('are those of all sockets that the options name, and of TLS where they say so', () => {
    const options: ServerOptions = {
      ...{ listen: ['ws+fd:3', 'wss+fd:4', 'ws://h:1'], tls: CERTIFICATES, metricsListen: { fd: 5 } },
      ...{ acme: { ...ACME, httpListen: { fd: 6 } }, socksSockets: [7, 8] },
    }
    expect(inheritedDescriptors(options)).toEqual([3, 4, 5, 6, 7, 8])
    expect(() => checkDescriptors(options)).not.toThrow()
    expect([needsTls(options), needsTls({ listen: ['ws+fd:3'] })]).toEqual([true, false])
    expect(listenAddresses({ listen: ['wss+fd:4'] })).toEqual([{ fd: 4, tls: true }])
  })

  it('are none elsewhere', () => {
    const metricsListen = { host: 'h', port: 1 }
    for (const options of [
      {},
      { listen: ['ws://h:1'], metricsListen },
      { acme: { ...ACME, httpListen: false as const } },
    ]) {
      expect(inheritedDescriptors(options)).toEqual([])
    }
  })

  it.each<[string, ServerOptions]>([
    ['metricsListen: descriptor 3 is that of listen[1]', { listen: ['ws://h:1', 'ws+fd:3'], metricsListen: { fd: 3 } }],
    ['listen[1]: descriptor 3 is that of listen[0]', { listen: ['ws+fd:3', 'wss+fd:3'] }],
    ['socksSockets[1]: descriptor 3 is that of socksSockets[0]', { socksSockets: [3, 3] }],
    ['socksSockets[0]: a descriptor is a number from 3 to 1048575', { socksSockets: [2] }],
    ['metricsListen: a descriptor is a number from 3 to 1048575', { metricsListen: { fd: 1.5 } }],
    ['acme.httpListen: a descriptor is a number from 3', { acme: { ...ACME, httpListen: { fd: -1 } } }],
    [
      'socksSockets: at most 128',
      { socksSockets: Array.from({ length: MAX_SOCKS_SOCKETS + 1 }, (_, index) => index + 3) },
    ],
  ])('are refused: %s', (message, options) => {
    expect(() => checkDescriptors(options)).toThrow(message)
  })

  it('of proxy ports are as many as there may be', () => {
    const socksSockets = Array.from({ length: MAX_SOCKS_SOCKETS }, (_, index) => index + 3)
    expect(() => checkDescriptors({ socksSockets })).not.toThrow()
    expect(() => checkSocketList('socks.sockets', socksSockets)).not.toThrow()
    expect(() => checkSocketList('socks.sockets', [])).toThrow('socks.sockets: at least one')
    expect(() => checkSocketList('socks.sockets', [...socksSockets, 500])).toThrow('socks.sockets: at most 128')
  })
})

describe('checkListenAddress()', () => {
  it('takes what a server can listen on, and nothing else', () => {
    expect(() => checkListenAddress('wss://[::]:443')).not.toThrow()
    expect(() => checkListenAddress('https://relay.example.com')).toThrow('must be ws://HOST:PORT, wss://HOST:PORT,')
  })
})
