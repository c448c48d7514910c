import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { AssociationLimit } from '../../../src/exit/udp/association-limit.js'
import { FakeSocket } from '../fakes.js'

describe('AssociationLimit', () => {
  const handler = { datagram: () => {}, close: () => {} }

  it('refuses one more than its limit, and takes the next when one is closed', async () => {
    const limit = new AssociationLimit(2)
    const open = () => limit.take(async () => new FakeSocket('127.0.0.1'))
    const [first] = [await open(), await open()]
    await expect(open()).rejects.toMatchObject({ code: 'ERR_LIMIT' })
    first?.close()
    first?.close()
    await open()
    await expect(open()).rejects.toMatchObject({ code: 'ERR_LIMIT' })
    expect(limit.open).toBe(2)
  })

  it('counts one that ends by itself as closed, once', async () => {
    const limit = new AssociationLimit(1)
    const socket = await limit.take(async () => new FakeSocket('127.0.0.1'))
    const told: unknown[] = []
    socket.start({ ...handler, close: (error) => void told.push(error) })
    socket.socket.close()
    socket.close()
    expect([limit.open, told]).toEqual([0, [undefined]])
  })

  it('does not count what could not be opened', async () => {
    const limit = new AssociationLimit(1)
    const fail = () => Promise.reject(new LinkSocksError('ERR_DIAL_FAILED', 'no socket'))
    await expect(limit.take(fail)).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
    expect(limit.open).toBe(0)
  })
})
