import { describe, expect, it } from 'vitest'
import type { AccessRule } from '../../../src/ports.js'
import { ServerAccess } from '../../../src/relay/tokens/server-access.js'
import { World } from '../world.js'
import { ScriptedStore } from './scripted-store.js'

const A: readonly AccessRule[] = [{ addresses: ['10.0.0.1'] }]
const B: readonly AccessRule[] = [{ ports: [443] }]

describe('ServerAccess', () => {
  it('limits nothing at first', () => {
    const access = new ServerAccess()
    expect([access.entry(), access.dial()]).toEqual([undefined, undefined])
    expect(access.rules).toEqual({})
  })

  it('keeps an absent side and lifts an empty one', () => {
    const access = new ServerAccess()
    access.restore({ entry: A })
    expect(access.after({ dial: B })).toEqual({ entry: A, dial: B })
    expect(access.after({ entry: [] })).toEqual({})
    expect(access.rules).toEqual({ entry: A })
  })

  it('stores what operators set, and not what it was given in its place', () => {
    const access = new ServerAccess({ dial: B })
    access.restore({ dial: A })
    const change = { entry: B }
    const stored = access.after(change)
    access.apply(change, stored)
    expect(stored).toEqual({ entry: B, dial: A })
    expect(access.rules).toEqual({ entry: B, dial: B })
    access.apply({ dial: [] }, access.after({ dial: [] }))
    expect(access.rules).toEqual({ entry: B })
  })

  it('goes on with what was stored, but for the sides it was given', () => {
    const access = new ServerAccess({ dial: A })
    access.restore({ entry: B, dial: B })
    expect(access.rules).toEqual({ entry: B, dial: A })
  })

  it('refuses both sides when one is wrong', () => {
    const access = new ServerAccess({ entry: A })
    expect(() => access.after({ entry: [], dial: [{ ports: [0] }] })).toThrow('access rule 1')
    expect(access.rules).toEqual({ entry: A })
  })
})

describe('the rules of a server', () => {
  it('are in the store before they hold, and there again after a restart', async () => {
    const store = new ScriptedStore()
    const world = new World({ store })
    await world.relay.restore([])
    store.hold()
    const changing = world.relay.changeAccess({ entry: A })
    expect(world.relay.access).toEqual({})
    store.letGo()
    await changing
    await world.relay.changeAccess({ dial: B })
    expect(world.relay.access).toEqual({ entry: A, dial: B })
    const later = new World({ store: store.restarted() })
    await later.relay.restore([])
    expect(later.relay.access).toEqual({ entry: A, dial: B })
  })

  it('stay as they are when they cannot be stored', async () => {
    const store = new ScriptedStore()
    const world = new World({ store })
    store.failing = true
    await expect(world.relay.changeAccess({ entry: A })).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
    expect(world.relay.access).toEqual({})
  })

  it('of a token are there again after a restart', async () => {
    const store = new ScriptedStore()
    const { id } = await new World({ store }).relay.addToken({ type: 'forward', rules: A })
    const later = new World({ store: store.restarted() })
    await later.relay.restore([])
    expect(later.relay.tokenInfo(id)?.rules).toEqual(A)
  })

  it('are not changed any more once the relay is closed', async () => {
    const world = new World()
    await world.relay.close()
    await expect(world.relay.changeAccess({ entry: A })).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
  })
})
