import { describe, expect, it, vi } from 'vitest'
import { CertificateTable } from '../../../src/node/tls/certificate-table.js'
import { pairOf } from './pairs.js'

const SOURCES = ['first', 'second', 'third'] as const
/** More than are remembered. */
const MANY = 1_100

async function setUp() {
  const table = new CertificateTable(SOURCES)
  const pairs = {
    first: await pairOf({ names: ['a.test', 'www.a.test'] }),
    second: await pairOf({ names: ['*.b.test', 'c.test', 'IP:192.0.2.1'] }),
    third: await pairOf({ names: ['x.b.test', 'c.test', '*.d.test'] }),
  }
  for (const source of ['third', 'second', 'first'] as const) table.set(source, pairs[source])
  const chosen = (name: string | undefined): string | undefined =>
    SOURCES.find((source) => pairs[source] === table.choose(name))
  return { table, pairs, chosen }
}

describe('CertificateTable', () => {
  it('chooses by name, by wildcard, and else the one that was named first', async () => {
    const { chosen } = await setUp()
    const expected = {
      'a.test': 'first',
      'www.a.test': 'first',
      'any.b.test': 'second',
      'x.b.test': 'second',
      'c.test': 'second',
      'y.d.test': 'third',
      // a wildcard stands for one label
      'b.test': 'first',
      'y.x.b.test': 'first',
      'unknown.test': 'first',
    }
    for (const [name, source] of Object.entries(expected)) expect([name, chosen(name)]).toEqual([name, source])
    // as it is remembered
    for (const [name, source] of Object.entries(expected)) expect([name, chosen(name)]).toEqual([name, source])
    expect(chosen(undefined)).toBe('first')
  })

  it('takes what is there for the first, and has nothing before', async () => {
    const { pairs } = await setUp()
    const table = new CertificateTable(SOURCES)
    expect([table.choose('a.test'), table.choose(undefined), table.get('first')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    table.set('third', pairs.third)
    expect([table.choose('a.test'), table.choose(undefined)]).toEqual([pairs.third, pairs.third])
    table.set('first', pairs.first)
    expect([table.choose('a.test'), table.choose(undefined)]).toEqual([pairs.first, pairs.first])
    expect(table.get('third')).toBe(pairs.third)
  })

  it('forgets what it chose when a certificate is replaced', async () => {
    const { table, chosen } = await setUp()
    expect([chosen('a.test'), chosen('c.test')]).toEqual(['first', 'second'])
    const other = await pairOf({ names: ['d.test'] })
    table.set('second', other)
    expect(chosen('c.test')).toBe('third')
    expect(table.choose('d.test')).toBe(other)
    const wider = await pairOf({ names: ['a.test', 'c.test'] })
    table.set('first', wider)
    expect([table.choose('a.test'), table.choose('c.test')]).toEqual([wider, wider])
  })

  it('remembers what it chose, for a bounded number of names', async () => {
    const { table, pairs } = await setUp()
    const looked = vi.spyOn(pairs.first.leaf, 'checkHost')
    for (let round = 0; round < 2; round += 1) for (let i = 0; i < 500; i += 1) table.choose(`${i}.test`)
    expect(looked).toHaveBeenCalledTimes(500)
    for (let i = 0; i < MANY; i += 1) table.choose(`${i}.b.test`)
    expect(looked).toHaveBeenCalledTimes(500 + MANY)
    table.choose('0.test')
    expect(looked).toHaveBeenCalledTimes(501 + MANY)
  })

  it('has certificates for validations apart from the others', async () => {
    const { table, pairs, chosen } = await setUp()
    const challenge = await pairOf({ names: ['a.test'] })
    const remove = table.putChallenge('a.test', challenge)
    expect([table.challenge('a.test'), table.challenge('b.test'), chosen('a.test')]).toEqual([
      challenge,
      undefined,
      'first',
    ])
    remove()
    remove()
    expect(table.challenge('a.test')).toBeUndefined()
    expect(table.choose('a.test')).toBe(pairs.first)
  })

  it('keeps the certificate of a second validation when the first one of that name ends', async () => {
    const table = new CertificateTable([])
    const [first, second] = [await pairOf(), await pairOf()]
    const endFirst = table.putChallenge('a.test', first)
    const endSecond = table.putChallenge('a.test', second)
    endFirst()
    expect(table.challenge('a.test')).toBe(second)
    endSecond()
    expect(table.challenge('a.test')).toBeUndefined()
  })
})
