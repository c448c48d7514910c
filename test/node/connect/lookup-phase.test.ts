import { lookup } from 'node:dns'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { freePort } from '../../support/ports.js'

// the module takes `lookup` when it is loaded
vi.mock('node:dns', async (original) => {
  const real = await original<typeof import('node:dns')>()
  return { ...real, lookup: vi.fn(real.lookup) }
})

const { connectWebSocket } = await import('../../../src/node/connect/ws-connect.js')

const connect = (timeouts: object) =>
  connectWebSocket({ url: 'ws://relay.test/socket', secretInBand: false, timeouts }).catch(
    (error: Error) => error.message,
  )

afterEach(() => {
  vi.restoreAllMocks()
})

describe('the phases of reaching a server by name', () => {
  it('are told apart: a look-up that takes too long is not a connection that does', async () => {
    vi.mocked(lookup).mockImplementation((() => {}) as never)
    expect(await connect({ lookupMs: 50 })).toBe(
      'cannot reach ws://relay.test: looking up the name timed out after 0.05 s',
    )
  })

  it('say that a name does not exist', async () => {
    vi.mocked(lookup).mockImplementation(((_host: string, _options: object, done: (error: Error) => void) => {
      done(Object.assign(new Error('getaddrinfo ENOTFOUND relay.test'), { code: 'ENOTFOUND' }))
    }) as never)
    expect(await connect({})).toMatch(
      /^cannot reach ws:\/\/relay\.test: .*(no such|not found|does not exist|not known|resolve)/i,
    )
  })

  it('say that nobody listens there', async () => {
    const message = await connectWebSocket({
      url: `ws://127.0.0.1:${await freePort()}/socket`,
      secretInBand: false,
    }).catch((error: Error) => error.message)
    expect(message).toMatch(/^cannot reach ws:\/\/127\.0\.0\.1:\d+: .*refused/)
  })
})
