import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { MAX_SESSIONS_AT_ONCE, openBesides } from '../../src/mux/open-besides.js'
import type { Session } from '../../src/mux/session.js'
import { settle } from '../support/manual-clock.js'

/** An entry whose peer falls silent, whose session is lost and whose dial ends when the test says. */
class Entry {
  available = true
  watched = 0
  cancelled = 0
  fallSilent = (): void => {}
  resolve: (value: string) => void = () => {}
  reject: (error: LinkSocksError) => void = () => {}
  readonly session: Pick<Session, 'available' | 'whenSilent'>

  constructor() {
    const self = this
    this.session = {
      get available() {
        return self.available
      },
      whenSilent: (callback) => {
        self.watched += 1
        self.fallSilent = callback
        return {
          cancel: () => {
            self.cancelled += 1
          },
        }
      },
    }
  }
}

function setUp(count: number) {
  const entries = Array.from({ length: count }, () => new Entry())
  const opened: Entry[] = []
  const discarded: string[] = []
  const failed: Entry[] = []
  const outcome = openBesides(entries[0] as Entry, {
    open: (entry) => {
      opened.push(entry)
      return new Promise<string>((resolve, reject) => Object.assign(entry, { resolve, reject }))
    },
    discard: (value) => void discarded.push(value),
    next: (asked) => entries.find((entry) => !asked.includes(entry)),
    failed: (entry) => void failed.push(entry),
  }).catch((error: LinkSocksError) => error.code)
  return { entries, opened, discarded, failed, outcome }
}

const refused = new LinkSocksError('ERR_DIAL_REFUSED', 'refused')
const lost = new LinkSocksError('ERR_LINK_LOST', 'lost')

describe('openBesides()', () => {
  it('asks one alone while that is not silent', async () => {
    const { entries, opened, outcome } = setUp(2)
    entries[0]?.resolve('first')
    expect(await outcome).toBe('first')
    expect([opened.length, entries[0]?.cancelled]).toEqual([1, 1])
  })

  it('asks others one by one as those before fall silent, up to its limit', async () => {
    const { entries, opened, discarded, outcome } = setUp(5)
    for (const entry of entries) entry.fallSilent()
    expect(opened).toHaveLength(MAX_SESSIONS_AT_ONCE)
    entries[2]?.resolve('third')
    expect(await outcome).toBe('third')
    entries[0]?.resolve('first')
    entries[1]?.reject(refused)
    await settle()
    expect(discarded).toEqual(['first'])
  })

  it('takes a success that comes after a refusal', async () => {
    const { entries, outcome } = setUp(2)
    entries[0]?.fallSilent()
    entries[1]?.reject(refused)
    await settle()
    entries[0]?.resolve('first')
    expect(await outcome).toBe('first')
  })

  it('fails with the first refusal when all have failed, whoever was lost before or after', async () => {
    const { entries, failed, outcome } = setUp(3)
    const [first, second, third] = entries as [Entry, Entry, Entry]
    first.fallSilent()
    second.fallSilent()
    third.available = false
    third.reject(lost)
    await settle()
    second.reject(refused)
    await settle()
    first.available = false
    first.reject(lost)
    expect(await outcome).toBe('ERR_DIAL_REFUSED')
    expect(failed).toEqual([second])
  })

  it('waits for the others when a session is lost, and fails with the last of them', async () => {
    const { entries, outcome } = setUp(2)
    const [first, second] = entries as [Entry, Entry]
    first.fallSilent()
    first.available = false
    first.reject(lost)
    await settle()
    second.available = false
    second.reject(lost)
    expect(await outcome).toBe('ERR_LINK_LOST')
  })

  it('asks nobody where there is no other', async () => {
    const { entries, opened, outcome } = setUp(1)
    entries[0]?.fallSilent()
    expect(opened).toHaveLength(1)
    entries[0]?.resolve('first')
    expect(await outcome).toBe('first')
  })
})
