import { describe, expect, it } from 'vitest'
import { listenFailure } from '../../src/cli/server-listen.js'
import { LinkSocksError } from '../../src/errors.js'
import type { ServerOptions } from '../../src/node/options.js'

const inUse = (port: number, host: string) =>
  new LinkSocksError('ERR_LISTEN', `port ${port} on ${host} is already in use`)

describe('listenFailure()', () => {
  it.each<[ServerOptions, LinkSocksError, string]>([
    [{ listen: ['ws://h:1'] }, inUse(1, 'h'), '--listen: port 1 on h is already in use'],
    [{ listen: ['ws+unix:/x'] }, new LinkSocksError('ERR_LISTEN', '/x is in use'), '--listen: /x is in use'],
    [{ metricsListen: { host: 'm', port: 2 } }, inUse(2, 'm'), '--metrics-listen: port 2 on m is already in use'],
    [
      { listen: ['wss://h:1'], acme: { domains: ['a.test'], httpListen: { host: '::', port: 80 } } },
      inUse(80, '::'),
      '--acme-http-listen: port 80 on :: is already in use',
    ],
    [{ port: 1 }, inUse(1, '0.0.0.0'), 'port 1 on 0.0.0.0 is already in use'],
    [{ listen: ['ws://h:1'] }, new LinkSocksError('ERR_STORE', 'broken'), 'broken'],
  ])('names the flag of %j', (options, error, message) => {
    expect(listenFailure(error, options)).toMatchObject({ code: error.code, message })
  })
})
