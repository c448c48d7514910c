import { describe, expect, it } from 'vitest'
import { MAX_WAITING_FOR_PROVIDER, ProviderPool } from '../../../src/relay/clients/provider-pool.js'
import type { RelayClient } from '../../../src/relay/clients/relay-client.js'
import { countListeners } from '../../support/count-listeners.js'
import { ManualClock } from '../../support/manual-clock.js'

const client = (group: string, ended = false): RelayClient =>
  ({ group, session: { available: !ended } }) as unknown as RelayClient

function setUp(...clients: RelayClient[]): { pool: ProviderPool; clock: ManualClock } {
  const clock = new ManualClock()
  const pool = new ProviderPool(clock)
  for (const each of clients) pool.add(each)
  return { pool, clock }
}

describe('ProviderPool', () => {
  it('picks in turn, also after one is gone, and skips ended links', () => {
    const [a, b, c] = [client('a'), client('b'), client('c')]
    const { pool } = setUp(a, b, c, client('d', true))
    const picks = (count: number): string[] => Array.from({ length: count }, () => pool.pick()?.group ?? '-')
    expect(picks(6).sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
    pool.remove(b)
    pool.remove(b)
    expect(picks(4).sort()).toEqual(['a', 'a', 'c', 'c'])
    expect([pool.clients.length, pool.has('b'), pool.has('c')]).toEqual([3, false, true])
  })

  it('confines a choice to one group', () => {
    const { pool } = setUp(client('a'), client('b'), client('a'))
    expect([1, 2, 3].map(() => pool.pick('b')?.group)).toEqual(['b', 'b', 'b'])
    expect(pool.pick('c')).toBeUndefined()
  })

  it('waits for a link of the right group and leaves neither timer nor listener', async () => {
    const { pool, clock } = setUp(client('other'))
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const choice = pool.choose(1_000, 'a', { signal: controller.signal })
    pool.add(client('b'))
    expect(clock.pending).toBe(1)
    const right = client('a')
    pool.add(right)
    expect(await choice).toBe(right)
    expect([clock.pending, listeners()]).toEqual([0, 0])
  })

  it('does not wait at all when told so', async () => {
    const { pool, clock } = setUp()
    await expect(pool.choose(0, undefined)).rejects.toMatchObject({ message: 'no available reverse clients' })
    expect(clock.pending).toBe(0)
  })

  it('lets so many wait and no more, and again when these are gone', async () => {
    const { pool, clock } = setUp()
    const waiting = Array.from({ length: MAX_WAITING_FOR_PROVIDER }, () =>
      pool.choose(1_000, undefined).catch(() => 'none'),
    )
    await expect(pool.choose(1_000, undefined)).rejects.toMatchObject({ code: 'ERR_LIMIT' })
    const last = client('a')
    pool.add(last)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([last]))
    pool.remove(last)
    const again = pool.choose(1_000, undefined).catch((error) => error.code)
    clock.advance(1_000)
    expect(await again).toBe('ERR_DIAL_NETWORK_UNREACHABLE')
  })

  it('is cancelled while it waits', async () => {
    const { pool, clock } = setUp()
    const controller = new AbortController()
    const choice = pool.choose(1_000, undefined, { signal: controller.signal })
    controller.abort()
    await expect(choice).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    await expect(pool.choose(1_000, undefined, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
    expect(clock.pending).toBe(0)
  })
})
