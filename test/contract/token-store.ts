import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ServerAccessRules, TokenRecord, TokenStore, TokenUsage } from '../../src/ports.js'
import { MAX_RECORD_BYTES } from '../../src/relay/tokens/token-record.js'

export interface TokenStoreSetup {
  readonly store: TokenStore
  /** Opens the same tokens again, after close(); none for a store that forgets. */
  reopen?(): Promise<TokenStore>
  cleanup?(): Promise<void>
}

/** An id that ends in `n`. */
export function recordId(n: number): string {
  return n.toString(16).padStart(24, '0')
}

export function forwardRecord(n: number, more: Partial<TokenRecord> = {}): TokenRecord {
  return {
    id: recordId(n),
    type: 'forward',
    token: `token ${n}`,
    createdAt: 1_700_000_000_000 + n,
    enabled: true,
    ...more,
  }
}

/** Every field at its longest. */
export const LARGEST: TokenRecord = {
  id: 'f'.repeat(24),
  type: 'reverse',
  token: 't'.repeat(255),
  createdAt: 8_640_000_000_000_000,
  label: 'l'.repeat(200),
  enabled: false,
  expiresAt: 8_640_000_000_000_000,
  port: 65_535,
  username: 'u'.repeat(255),
  password: 'p'.repeat(255),
  autonomy: true,
  reverseToken: 'r'.repeat(255),
  rules: [{ addresses: ['10.0.0.0/8', '::1'], ports: [22, [8000, 8999]] }, {}, { ports: [] }],
  policy: {
    egress: [
      {
        action: 'deny',
        hosts: ['@private', '*.corp.example', '192.0.2.0/24'],
        ports: [22, [8000, 8999]],
        protocol: 'tcp',
      },
      { action: 'allow' },
    ],
    egressDefault: 'deny',
    maxStreams: 1_000_000_000,
    maxClients: 0,
    connectsPerMinute: 600,
    sources: ['203.0.113.0/24', '::1'],
    clientSubjects: ['CN=ann,O=Example\\, Ltd', 'CN=bob'],
    hours: [
      { days: ['mon', 'sun'], from: '08:00', to: '24:00', zone: 'Europe/Berlin' },
      { from: '22:00', to: '06:00' },
    ],
    rate: {
      ...{ up: 1_000_000_000_000, down: 1, burst: 1_073_741_824 },
      ...{ streamUp: 1_000_000_000_000, streamDown: 1_000_000_000_000 },
    },
    quota: { bytes: Number.MAX_SAFE_INTEGER, period: 'month', direction: 'down' },
  },
}

/** What a token used, with as many days and months as are remembered. */
const USED: TokenUsage = {
  since: 1_767_225_600_000,
  total: [Number.MAX_SAFE_INTEGER, 0],
  days: { '2026-01-31': [1, 2], '2026-02-01': [3, 4], '2028-02-29': [0, 5] },
  months: { '2026-01': [1, 2], '2026-02': [3, 4], '2028-02': [0, 5] },
}

/** Rules of a server. */
const ACCESS: ServerAccessRules = { entry: [{ addresses: ['10.0.0.1'] }], dial: [{ ports: [443, [1, 9]] }] }

/** What no policy has: wrong types, and fields that are not known. */
const NO_POLICIES: readonly unknown[] = [
  ...[
    'allow',
    1,
    null,
    true,
    [],
    [{}],
    { rate: { up: '1' } },
    { quota: {} },
    { egress_default: 'deny' },
    { maxStreams: 0.5 },
  ],
  ...[{ maxClients: '1' }, { connectsPerMinute: null }, { sources: '::/0' }, { sources: [1] }, { egressDefault: true }],
  ...[{ clientSubjects: 'CN=ann' }, { clientSubjects: [null] }, { client_subjects: ['CN=ann'] }],
  ...['any', [1], [null], [[]], [{ hosts: [] }], [{ action: 1 }]].map((egress) => ({ egress })),
  ...[{ hosts: 'a' }, { hosts: [1] }, { ports: [[1]] }, { ports: ['1'] }, { protocol: 6 }, { addresses: [] }].map(
    (more) => ({
      egress: [{ action: 'deny', ...more }],
    }),
  ),
  ...['always', [1], [null], [[]], [{ from: 8 }], [{ days: 'mon' }], [{ until: '18:00' }]].map((hours) => ({ hours })),
]

/** Whole numbers below `n`. */
function below(n: number): readonly number[] {
  return Array.from({ length: n }, (_, index) => index)
}

export function tokenStoreContract(name: string, open: () => Promise<TokenStoreSetup>): void {
  describe(`${name} as a TokenStore`, () => {
    let setup: TokenStoreSetup
    let store: TokenStore
    beforeEach(async () => {
      setup = await open()
      store = setup.store
    })
    afterEach(async () => {
      await store.close()
      await setup.cleanup?.()
    })

    /** What it holds, and what it holds once opened again. */
    async function expectHeld(expected: readonly TokenRecord[]): Promise<void> {
      expect(await store.load()).toStrictEqual(expected)
      if (setup.reopen === undefined) return
      await store.close()
      store = await setup.reopen()
      expect(await store.load()).toStrictEqual(expected)
    }

    it('is empty at first', async () => {
      await expectHeld([])
    })

    it('gives back every field, and none that was not given', async () => {
      await store.write({
        put: [LARGEST, forwardRecord(1, { label: undefined, expiresAt: undefined, port: undefined })],
      })
      await expectHeld([LARGEST, forwardRecord(1)])
      expect(Object.keys((await store.load())[1] ?? {}).sort()).toEqual(['createdAt', 'enabled', 'id', 'token', 'type'])
    })

    it('keeps the order in which records were first put', async () => {
      await store.write({ put: [forwardRecord(9), forwardRecord(3)] })
      await store.write({ put: [forwardRecord(5)] })
      await store.write({ put: [forwardRecord(1), forwardRecord(7)] })
      await expectHeld([9, 3, 5, 1, 7].map((n) => forwardRecord(n)))
    })

    it('replaces a record in its place, whole', async () => {
      await store.write({ put: [forwardRecord(1, { label: 'old', port: 80 }), forwardRecord(2)] })
      await store.write({ put: [forwardRecord(1, { token: 'new' }), forwardRecord(3)] })
      await expectHeld([forwardRecord(1, { token: 'new' }), forwardRecord(2), forwardRecord(3)])
    })

    it('removes records, and passes over ids that are not there', async () => {
      await store.write({ put: [1, 2, 3].map((n) => forwardRecord(n)) })
      await store.write({ remove: [recordId(2), recordId(77), 'no id at all', ''] })
      await store.write({ remove: [recordId(2)] })
      await expectHeld([forwardRecord(1), forwardRecord(3)])
    })

    it('puts a record at the end that was removed, by an earlier write or the same', async () => {
      await store.write({ put: [1, 2, 3].map((n) => forwardRecord(n)) })
      await store.write({ remove: [recordId(1)], put: [forwardRecord(1)] })
      await store.write({ remove: [recordId(2)] })
      await store.write({ put: [forwardRecord(2)] })
      await expectHeld([3, 1, 2].map((n) => forwardRecord(n)))
    })

    it('takes the last of several records with one id', async () => {
      await store.write({ put: [forwardRecord(1), forwardRecord(2), forwardRecord(1, { token: 'last' })] })
      await expectHeld([forwardRecord(1, { token: 'last' }), forwardRecord(2)])
    })

    it('does nothing when there is nothing to do', async () => {
      await store.write({})
      await store.write({ put: [], remove: [] })
      await expectHeld([])
    })

    it('keeps the rules of the server beside the records, the last ones written', async () => {
      expect(await store.loadAccess()).toEqual({})
      await store.write({ put: [forwardRecord(1)], access: ACCESS })
      await store.write({ put: [forwardRecord(2)], remove: ['server-access'.padStart(24, '0')] })
      expect(await store.loadAccess()).toEqual(ACCESS)
      await store.write({ access: { dial: [] } })
      await expectHeld([forwardRecord(1), forwardRecord(2)])
      expect(await store.loadAccess()).toEqual({ dial: [] })
    })

    it('keeps what tokens used beside their records, the last that was written', async () => {
      expect(await store.loadUsage()).toEqual(new Map())
      await store.write({ put: [1, 2, 3].map((n) => forwardRecord(n)) })
      await store.write({ usage: { [recordId(1)]: { ...USED, total: [1, 1] }, [recordId(2)]: USED } })
      await store.write({ put: [forwardRecord(1, { label: 'changed' })], usage: { [recordId(1)]: USED } })
      const held = [forwardRecord(1, { label: 'changed' }), forwardRecord(2), forwardRecord(3)]
      await expectHeld(held)
      const used = new Map([1, 2].map((n) => [recordId(n), USED]))
      expect(await store.loadUsage()).toEqual(used)
    })

    it('forgets what a token used with the token, and passes over what others used', async () => {
      await store.write({ put: [forwardRecord(1), forwardRecord(2)] })
      await store.write({ usage: { [recordId(1)]: USED, [recordId(2)]: USED } })
      await store.write({ remove: [recordId(1)], usage: { [recordId(1)]: USED, [recordId(7)]: USED } })
      await store.write({ put: [forwardRecord(1)] })
      await store.write({ put: [forwardRecord(3)], usage: { [recordId(3)]: USED } })
      await expectHeld([forwardRecord(2), forwardRecord(1), forwardRecord(3)])
      expect([...(await store.loadUsage()).keys()].sort()).toEqual([recordId(2), recordId(3)])
    })

    it('refuses what is not what a token used, and writes nothing then', async () => {
      await store.write({ put: [forwardRecord(1)] })
      const wrong = [{ total: [0] }, { total: [-1, 0] }, { days: { today: [0, 0] } }, { months: [] }, { more: 1 }]
      for (const one of wrong) {
        const usage = { [recordId(1)]: { ...USED, ...one } as TokenUsage }
        const failed = store.write({ put: [forwardRecord(2)], usage })
        await expect(failed, JSON.stringify(one)).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
      }
      expect(await store.loadUsage()).toEqual(new Map())
      await expectHeld([forwardRecord(1)])
    })

    it('refuses records whose rules are none, and writes nothing then', async () => {
      for (const rules of ['any', [1], [null], [[]], [{ addresses: 'any' }], [{ ports: [[1]] }], [{ hosts: [] }]]) {
        const record = { ...forwardRecord(1), rules } as unknown as TokenRecord
        await expect(store.write({ put: [record], access: ACCESS })).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
      }
      expect(await store.loadAccess()).toEqual({})
      await expectHeld([])
    })

    it('refuses records whose policy is none, and writes nothing then', async () => {
      for (const policy of NO_POLICIES) {
        const record = { ...forwardRecord(1), policy } as unknown as TokenRecord
        const failed = store.write({ put: [record], access: ACCESS })
        await expect(failed, JSON.stringify(policy)).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
      }
      expect(await store.loadAccess()).toEqual({})
      await expectHeld([])
    })

    it('does all of a write or nothing', async () => {
      await store.write({ put: [forwardRecord(1)] })
      const tooLarge = forwardRecord(3, { token: 'x'.repeat(MAX_RECORD_BYTES) })
      const failed = store.write({ put: [forwardRecord(2), tooLarge], remove: [recordId(1)] })
      await expect(failed).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
      expect(await store.load()).toStrictEqual([forwardRecord(1)])
      await store.write({ put: [forwardRecord(4)] })
      await expectHeld([forwardRecord(1), forwardRecord(4)])
    })

    it('takes a record of MAX_RECORD_BYTES and refuses one of a byte more', async () => {
      const base = JSON.stringify(forwardRecord(1, { token: '' })).length
      const full = forwardRecord(1, { token: 'x'.repeat(MAX_RECORD_BYTES - base) })
      await store.write({ put: [full] })
      const over = store.write({ put: [{ ...full, token: `${full.token}x` }] })
      await expect(over).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
      await expectHeld([full])
    })

    it('refuses what is no record, without repeating it', async () => {
      const wrong = [{ id: 'SECRET' }, { createdAt: 0.5 }, { port: Number.NaN }, { id: 'A'.repeat(24) }]
      for (const more of wrong) {
        const failed = store.write({ put: [forwardRecord(1, { token: 'SECRET', ...more })] })
        await expect(failed).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
        await expect(failed).rejects.not.toThrow(/SECRET/)
      }
      await expectHeld([])
    })

    it('keeps every text as it is', async () => {
      const texts = [
        '',
        '\uFEFFmark',
        '😀'.repeat(60),
        '\u0000\n\u202e',
        '\ud800',
        "'; DROP TABLE token; --",
        '"\\',
        'é e\u0301',
      ]
      const records = texts.map((text, n) => forwardRecord(n, { token: text, label: text, password: text }))
      await store.write({ put: records })
      await expectHeld(records)
    })

    it('keeps what was put, not what becomes of the object or of what it gave out', async () => {
      const record = { ...forwardRecord(1) }
      await store.write({ put: [record] })
      record.token = 'changed'
      const given = await store.load()
      expect(() => Object.assign(given[0] ?? {}, { token: 'changed' })).toThrow(TypeError)
      await expectHeld([forwardRecord(1)])
    })

    it('does writes that are called at once one after the other', async () => {
      const writes = below(50).map((n) => {
        const old = n % 2 === 1 ? [recordId(n - 1)] : []
        return store.write({ put: [forwardRecord(n)], remove: old })
      })
      await Promise.all(writes)
      await expectHeld(
        below(50)
          .filter((n) => n % 2 === 1)
          .map((n) => forwardRecord(n)),
      )
    })

    it('lets writes finish that were called before close()', async () => {
      const writes = below(20).map((n) => store.write({ put: [forwardRecord(n)] }))
      const closed = store.close()
      await Promise.all([...writes, closed])
      if (setup.reopen === undefined) return
      store = await setup.reopen()
      expect(await store.load()).toHaveLength(20)
    })

    it('throws ERR_STORE for load() and write() after close(), which may be called again', async () => {
      await store.write({ put: [forwardRecord(1)] })
      await Promise.all([store.close(), store.close()])
      await store.close()
      await expect(store.load()).rejects.toMatchObject({ code: 'ERR_STORE' })
      await expect(store.loadUsage()).rejects.toMatchObject({ code: 'ERR_STORE' })
      await expect(store.write({ put: [forwardRecord(2)] })).rejects.toMatchObject({ code: 'ERR_STORE' })
      await expect(store.write({})).rejects.toMatchObject({ code: 'ERR_STORE' })
      if (setup.reopen === undefined) return
      store = await setup.reopen()
      expect(await store.load()).toStrictEqual([forwardRecord(1)])
    })
  })
}
