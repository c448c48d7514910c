import { describe, expect, it } from 'vitest'
import { meaning, Placeholders } from './placeholders.js'

const A = 'a'.repeat(24)
const B = 'b'.repeat(24)
const X = '1'.repeat(24)
const Y = '2'.repeat(24)

describe('Placeholders', () => {
  const began = Date.now()
  const now = (): string => new Date().toISOString()
  const shownTime = '2026-01-02T03:04:05.006Z'

  function same(shown: unknown, actual: unknown, placeholders = new Placeholders(began)): boolean {
    return JSON.stringify(placeholders.expected(shown, actual)) === JSON.stringify(actual)
  }

  it('takes any id at first, and the same one from then on', () => {
    const placeholders = new Placeholders(began)
    expect(same({ id: A }, { id: X }, placeholders)).toBe(true)
    expect(same(`/api/tokens/${A}`, `/api/tokens/${X}`, placeholders)).toBe(true)
    expect(same([A], [Y], placeholders)).toBe(false)
    expect(placeholders.command(`"$SERVER/api/tokens/${A}"`)).toBe(`"$SERVER/api/tokens/${X}"`)
    expect(() => placeholders.command(B)).toThrow(`no answer has shown ${B}`)
  })

  it('takes no id for two, and no event for a token', () => {
    expect(same([A, B], [X, X])).toBe(false)
    expect(same(A, 'dbd4adb1653544af-1')).toBe(false)
    expect(same('0123456789abcdef-7', 'dbd4adb1653544af-1')).toBe(true)
  })

  it.each([
    ['with other digits', shownTime, '2026-01-02T03:04:05Z'],
    ['of another day', shownTime, '2020-01-02T03:04:05.006Z'],
    ['that is none', shownTime, null],
  ])('refuses a time %s', (_, shown, actual) => {
    expect(same({ since: shown }, { since: actual })).toBe(false)
  })

  it('takes a time of the run, and takes one of a command as it is', () => {
    const placeholders = new Placeholders(began)
    expect(same({ since: shownTime }, { since: now() }, placeholders)).toBe(true)
    placeholders.command('-d \'{"expires_at":"2099-12-31T23:59:59Z"}\'')
    expect(same('2099-12-31T23:59:59.000Z', now(), placeholders)).toBe(false)
    expect(same('2099-12-31T23:59:59.000Z', '2099-12-31T23:59:59.000Z', placeholders)).toBe(true)
  })

  it('takes another count where it is measured, zero for zero alone, and no other number', () => {
    expect(same({ rtt_ms: 5, sent_bytes: 9 }, { rtt_ms: 0.2, sent_bytes: 10 })).toBe(true)
    expect(same({ sent_bytes: 9 }, { sent_bytes: 0 })).toBe(false)
    expect(same({ sent_bytes: 0 }, { sent_bytes: 9 })).toBe(false)
    expect(same({ rtt_ms: 5 }, { rtt_ms: null })).toBe(false)
    expect(same({ protocol: 'tcp', sent_bytes: 9 }, { protocol: 'tcp', sent_bytes: 10 })).toBe(false)
    expect(same({ total: 5 }, { total: 6 })).toBe(false)
  })

  it('expects every field and entry that is shown, and no more', () => {
    const placeholders = new Placeholders(began)
    expect(placeholders.expected({ a: 1 }, { a: 1, b: 2 })).toEqual({ a: 1 })
    expect(placeholders.expected({ a: [1, 2] }, { a: [1] })).toEqual({ a: [1, 2] })
    expect(placeholders.expected({ a: { b: A } }, null)).toEqual({ a: { b: A } })
  })
})

describe('meaning()', () => {
  it('reads JSON, events and text', () => {
    expect(meaning(' {"a": [1]}\n')).toEqual({ a: [1] })
    expect(meaning('id: 1\nevent: a\ndata: {"b":2}\n\nevent: c\ndata: {}\n\n')).toEqual([
      { id: '1', event: 'a', data: { b: 2 } },
      { event: 'c', data: {} },
    ])
    expect(meaning('a line\n')).toBe('a line')
  })
})
