import { describe, expect, it } from 'vitest'
import { PendingConnections } from '../../src/inbound/pending-connections.js'

function setUp(max: number) {
  const closed: string[] = []
  const pendingConnections = new PendingConnections(max, (address) => closed.push(`told ${address}`))
  const add = (name: string, address: string) => pendingConnections.add(address, () => closed.push(name))
  return { pendingConnections, closed, add }
}

describe('PendingConnections', () => {
  it('closes the oldest of the address that holds most when it is full', () => {
    const { pendingConnections, closed, add } = setUp(4)
    add('a1', 'A')
    add('b1', 'B')
    add('b2', 'B')
    add('c1', 'C')
    expect(closed).toEqual([])
    add('a2', 'A')
    expect(closed).toEqual(['told B', 'b1'])
    expect(pendingConnections.size).toBe(4)
  })

  it('holds 1,024 by default', () => {
    const closed: string[] = []
    const pendingConnections = new PendingConnections(undefined, (address) => closed.push(address))
    for (let count = 0; count < 1_024; count++) pendingConnections.add('A', () => {})
    expect([pendingConnections.size, closed]).toEqual([1_024, []])
    pendingConnections.add('B', () => {})
    expect([pendingConnections.size, closed]).toEqual([1_024, ['A']])
  })

  it('never turns the new one away, even when one address holds all', () => {
    const { pendingConnections, closed, add } = setUp(2)
    for (const name of ['1', '2', '3', '4']) add(name, 'A')
    expect(closed).toEqual(['told A', '1', 'told A', '2'])
    expect(pendingConnections.size).toBe(2)
  })

  it('forgets who has left, once', () => {
    const { pendingConnections, closed, add } = setUp(2)
    const first = add('1', 'A')
    first.settled()
    first.settled()
    add('2', 'A')
    add('3', 'A')
    expect(closed).toEqual([])
    expect(pendingConnections.size).toBe(2)
  })

  it('counts a connection for the address that a proxy names', () => {
    const { closed, add } = setUp(3)
    const through = add('through', 'PROXY')
    through.moveTo('FAR')
    add('p1', 'PROXY')
    add('p2', 'PROXY')
    add('new', 'NEW')
    expect(closed).toEqual(['told PROXY', 'p1'])
  })

  it('leaves one that was closed alone', () => {
    const { pendingConnections, closed, add } = setUp(1)
    const first = add('1', 'A')
    add('2', 'A')
    first.moveTo('B')
    first.settled()
    expect(pendingConnections.size).toBe(1)
    expect(closed).toEqual(['told A', '1'])
  })

  it('may be left while it makes room', () => {
    const pendingConnections = new PendingConnections(1)
    const first = pendingConnections.add('A', () => first.settled())
    pendingConnections.add('A', () => {})
    expect(pendingConnections.size).toBe(1)
  })

  it('counts the addresses of one /64 as one', () => {
    const { closed, add } = setUp(4)
    for (const end of [1, 2, 3]) add(`v6 ${end}`, `2001:db8::${end}`)
    add('good', '192.0.2.1')
    add('good again', '192.0.2.1')
    expect(closed).toEqual(['told 2001:db8:0:0', 'v6 1'])
  })
})
