import { expect, it } from 'vitest'
import { AccessList, MAX_ACCESS_ENTRIES, MAX_ACCESS_RULES } from '../../../src/exit/dial/access-rules.js'
import { MAX_ADDRESS_ENTRY_LENGTH } from '../../../src/policy/address-range.js'
import type { AccessRule } from '../../../src/ports.js'
import { MemoryTokenStore } from '../../../src/relay/tokens/memory-token-store.js'
import { LARGEST, tokenStoreContract } from '../../contract/token-store.js'

tokenStoreContract('MemoryTokenStore', async () => ({ store: new MemoryTokenStore() }))

it('says that it does not last', () => {
  expect(new MemoryTokenStore().durable).toBe(false)
})

it('has room for the longest rules there may be, with all else at its longest', async () => {
  const address = '0000:0000:0000:0000:0000:ffff:255.255.255.255'
  const longest = [`${address}-${address}`, `${address}-${address}`]
  const rule: AccessRule = { addresses: longest, ports: [[65_534, 65_535] as const, [65_534, 65_535] as const] }
  const rules = new AccessList(new Array<AccessRule>(MAX_ACCESS_RULES).fill(rule)).rules
  expect(longest[0]).toHaveLength(MAX_ADDRESS_ENTRY_LENGTH)
  expect(rules.length * longest.length).toBe(MAX_ACCESS_ENTRIES)
  const store = new MemoryTokenStore()
  const record = { ...LARGEST, username: '\u0000'.repeat(255), password: '\u0000'.repeat(255), rules }
  await store.write({ put: [record], access: { entry: rules, dial: rules } })
  expect(await store.load()).toEqual([record])
})
