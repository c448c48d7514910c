import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { LazyTokenStore } from '../../../src/node/store/lazy-token-store.js'
import { MemoryTokenStore } from '../../../src/relay/tokens/memory-token-store.js'

const record = { id: 'a'.repeat(24), type: 'forward', token: 'a', createdAt: 1, enabled: true } as const

function setUp() {
  const store = new MemoryTokenStore()
  const opened: number[] = []
  const later = new LazyTokenStore(async () => {
    opened.push(1)
    return store
  }, true)
  return { store, later, opened }
}

describe('LazyTokenStore', () => {
  it('opens its store with the first use, once for all who come at the same time', async () => {
    const { later, opened } = setUp()
    expect([later.durable, opened]).toEqual([true, []])
    await Promise.all([later.write({ put: [record] }), later.load(), later.load()])
    expect(opened).toHaveLength(1)
    expect(await later.load()).toEqual([record])
  })

  it('opens nothing to be closed', async () => {
    const { later, opened } = setUp()
    await later.close()
    await later.close()
    expect(opened).toEqual([])
  })

  it('closes what is being opened when it is there', async () => {
    const { later, store } = setUp()
    const loading = later.load()
    await later.close()
    await loading
    await expect(store.load()).rejects.toMatchObject({ code: 'ERR_STORE' })
  })

  it('tells every user why it could not be opened, and closes all the same', async () => {
    const failing = new LazyTokenStore(() => Promise.reject(new LinkSocksError('ERR_STORE', 'in use')), true)
    await expect(failing.load()).rejects.toThrow('in use')
    await expect(failing.write({ put: [record] })).rejects.toThrow('in use')
    await failing.close()
  })
})
