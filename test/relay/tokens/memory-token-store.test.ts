import { expect, it } from 'vitest'
import { MemoryTokenStore } from '../../../src/relay/tokens/memory-token-store.js'
import { tokenStoreContract } from '../../contract/token-store.js'

tokenStoreContract('MemoryTokenStore', async () => ({ store: new MemoryTokenStore() }))

it('says that it does not last', () => {
  expect(new MemoryTokenStore().durable).toBe(false)
})
