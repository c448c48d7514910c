import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite, sceneOfTest } from '../../support/e2e/scene.js'
import { socksConnect } from '../../support/e2e/socks.js'
import { echoTarget, readAll } from '../../support/e2e/targets.js'
import { eventually } from '../../support/wait.js'
import { between, seeded } from '../fuzz/random.js'
import { type Body, DurableServer, folderOf, idOf, type Outcome, type TokenView } from './durable-scene.js'

/** Tokens before the first kill. */
const FIRST = 500
const SOCKS_PORTS = 130
const BURST = 200
const KILLS = 4
/** Removals between two kills: the list shows 1,000 tokens at most. */
const REMOVED = 200
const PAGE_BYTES = 4_096

/** The n-th token: of all types, connector tokens of earlier reverse tokens. */
function tokenOf(n: number): Body {
  const label = `label of ${n}`
  if (n % 10 === 0) return { type: 'reverse', token: `token ${n}`, label, username: `u${n}`, password: 'p' }
  if (n % 10 === 1 && n < FIRST)
    return { type: 'connector', token: `token ${n}`, label, reverse_token: `token ${n - 1}` }
  return { type: 'forward', token: `token ${n}`, label, expires_at: '2099-01-01T00:00:00.000Z' }
}

/** What the n-th token must look like, told by its name. */
function expectedOf(name: string): Body {
  const { type, label, username, reverse_token: tenant } = tokenOf(Number(name.slice('token '.length)))
  const connectors = tenant === undefined ? undefined : [name]
  return { type, label, username, tenant, connectors, stored: true, state: 'active' }
}

/** The same of a token that is there; of a connector token also the reverse token that it leads to, and back. */
function shownOf({ type, label, stored, state, username, reverse_id }: TokenView, all: ReadonlyMap<string, TokenView>) {
  const tenant = all.get(reverse_id ?? '')
  const connectors = tenant?.connectors?.map((id) => all.get(id)?.token)
  return { type, label, username, tenant: tenant?.token, connectors, stored, state }
}

/** SQLite writes rows from the end of each page on. */
function changedRecords(bytes: Buffer): Buffer {
  for (let end = 2 * PAGE_BYTES; end <= bytes.length; end += PAGE_BYTES) bytes.fill(7, end - 40, end)
  return bytes
}

describe('a server with a data directory, killed at any moment', { timeout: 240_000 }, () => {
  const scene = sceneOfTest()

  it('has every token that it acknowledged, whole, with its port and its connector tokens', async () => {
    const server = await DurableServer.start(scene, SOCKS_PORTS)
    const random = seeded(36)
    const acknowledged = new Map<string, { n: number; port: unknown }>()
    const removed = new Set<string>()
    let asked = 0

    const next = (count: number): readonly number[] => {
      asked += count
      return Array.from({ length: count }, (_, each) => asked - count + each)
    }

    /** Adds tokens, and kills the server when so many of them have been acknowledged. */
    async function add(numbers: readonly number[], killAfter = Number.POSITIVE_INFINITY): Promise<void> {
      let answers = 0
      await server.burst(numbers, async (n) => {
        const outcome = await server.ask('POST', 'token', tokenOf(n))
        if (outcome.status === 'lost') return
        expect([outcome.status, outcome.body.success]).toEqual([200, true])
        acknowledged.set(idOf(outcome), { n, port: outcome.body.port })
        answers += 1
        if (answers === killAfter) await server.kill()
      })
    }

    function expectWhole(tokens: ReadonlyMap<string, TokenView>): void {
      const found = [...acknowledged].map(([id, { n, port }]) => [
        n,
        tokens.get(id)?.token,
        port ?? tokens.get(id)?.port,
      ])
      expect(found).toEqual([...acknowledged].map(([id, { n }]) => [n, `token ${n}`, tokens.get(id)?.port]))
      const held = [...tokens.values()]
      expect(held.map((token) => shownOf(token, tokens))).toEqual(held.map(({ token }) => expectedOf(token)))
      const ports = held.filter(({ type }) => type === 'reverse').map(({ port }) => port)
      expect(ports.every((port) => typeof port === 'number')).toBe(true)
      expect(new Set(ports).size).toBe(ports.length)
      expect(new Set(held.map(({ token }) => token)).size).toBe(held.length)
      expect(held.length).toBeLessThanOrEqual(asked)
      expect(held.filter(({ id }) => removed.has(id))).toEqual([])
    }

    const first = next(FIRST)
    // a connector token needs its reverse token: those are answered first
    await add(first.filter((n) => tokenOf(n).type === 'reverse'))
    await add(first.filter((n) => tokenOf(n).type !== 'reverse'))
    expect(acknowledged.size).toBe(FIRST)
    for (let kill = 0; kill < KILLS; kill += 1) {
      await add(next(BURST), between(random, 1, BURST - 50))
      await server.restart()
      const tokens = await server.tokens()
      expectWhole(tokens)
      // what is removed stays gone
      const some = [...tokens.values()].filter(({ type }) => type === 'forward').slice(0, REMOVED)
      await server.burst(some, async ({ id }) => {
        expect((await server.ask('DELETE', `tokens/${id}`)).status).toBe(204)
        acknowledged.delete(id)
        removed.add(id)
      })
    }
    await server.kill()
    await server.restart()
    expectWhole(await server.tokens())
  })

  it('has every change and removal that it acknowledged, and of the others all or nothing', async () => {
    const server = await DurableServer.start(scene, 1)
    const random = seeded(37)
    const numbers = Array.from({ length: BURST }, (_, n) => n)
    const ids: string[] = []
    await server.burst(numbers, async (n) => {
      ids.push(idOf(await server.ask('POST', 'token', { type: 'forward', token: `${n}`, label: 'old' })))
    })
    const expected = new Map<string, readonly string[]>(ids.map((id) => [id, ['old true']]))
    for (let kill = 0; kill < KILLS; kill += 1) {
      const killAfter = between(random, 1, Math.min(60, expected.size))
      let answers = 0
      const answered = async (outcome: Outcome): Promise<boolean> => {
        if (outcome.status === 'lost') return false
        expect(outcome.status).toBeLessThan(300)
        answers += 1
        if (answers === killAfter) await server.kill()
        return true
      }
      await server.burst([...expected.keys()], async (id) => {
        const before = expected.get(id) ?? []
        if (between(random, 0, 9) === 0) {
          const gone = await answered(await server.ask('DELETE', `tokens/${id}`))
          expected.set(id, gone ? ['gone'] : [...before, 'gone'])
        } else {
          const [label, enabled] = [`kill ${kill} ${id}`, between(random, 0, 1) === 0]
          const changed = await answered(await server.ask('PATCH', `tokens/${id}`, { label, enabled }))
          expected.set(id, changed ? [`${label} ${enabled}`] : [...before, `${label} ${enabled}`])
        }
      })
      await server.restart()
      const tokens = await server.tokens()
      for (const [id, allowed] of expected) {
        const token = tokens.get(id)
        const found = token === undefined ? 'gone' : `${token.label} ${token.enabled}`
        expect(allowed).toContain(found)
        if (token === undefined) expected.delete(id)
        else expected.set(id, [found])
      }
      expect([...tokens.keys()].sort()).toEqual([...expected.keys()].sort())
    }
  })

  it('has its providers and connectors back, on the same port', async () => {
    const server = await DurableServer.start(scene, 1)
    const echo = await echoTarget(scene)
    const { body } = await server.ask('POST', 'token', { type: 'reverse', token: 'R' })
    await server.ask('POST', 'token', { type: 'connector', token: 'C', reverse_token: 'R' })
    await scene.provider(server.running.url, ['-t', 'R'])
    const { socksPort } = await scene.listener(server.running.url, ['-t', 'C'])
    const works = (port: number) => async () => {
      const socket = await socksConnect(scene, port, ['127.0.0.1', echo]).catch(() => undefined)
      socket?.end('over it')
      return socket && ((await readAll(socket).catch(() => undefined))?.toString() || undefined)
    }
    for (let turn = 0; turn < 3; turn += 1) {
      if (turn > 0) {
        await server.kill()
        await server.restart()
      }
      for (const port of [Number(body.port), socksPort]) {
        expect(await eventually('stream', works(port))).toBe('over it')
      }
    }
  })
})

describe('a data directory', () => {
  const scene = sceneOfTest()

  it('is of one server: a second one ends with 1 and says why', async () => {
    const server = await DurableServer.start(scene)
    const second = scene.start(['server', '-H', '127.0.0.1', '-P', '0', ...server.args])
    expect(await second.end()).toBe(1)
    expect(second.stderr).toMatch(/data\/tokens\.db is in use by process \d+ on .*: stop it, or give each server/)
    expect((await server.ask('POST', 'token', { type: 'forward' })).status).toBe(200)
    await server.kill()
    await server.restart()
    expect((await server.tokens()).size).toBe(1)
  })
})

describe('a data directory of three tokens', () => {
  const suite = sceneOfSuite()
  const scene = sceneOfTest()
  /** As the server left it, and the flags that name it. */
  let sound: DurableServer

  beforeAll(async () => {
    sound = await DurableServer.start(suite)
    for (const label of ['one', 'two', 'three']) await sound.ask('POST', 'token', { type: 'forward', label })
    await sound.kill()
  })

  it.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, 2_000)],
    ['empty', () => Buffer.alloc(0)],
    ['something else', () => Buffer.from('not a database\n'.repeat(1_000))],
    ['changed in its records', changedRecords],
  ])('whose database is %s is refused with its path and what to do, and left as it is', async (_, spoil) => {
    const directory = folderOf(scene)
    await cp(sound.directory, directory, { recursive: true })
    const files = async () => {
      const names = (await readdir(directory)).sort()
      return await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))]))
    }
    const path = join(directory, 'tokens.db')
    await writeFile(path, spoil(await readFile(path)))
    const before = await files()
    const refused = scene.start(['server', '-H', '127.0.0.1', '-P', '0', ...sound.args, '--data-dir', directory])
    expect(await refused.end()).toBe(1)
    expect(refused.stderr).toContain(path)
    expect(refused.stderr).toMatch(/put a backup in its place, or move it .*away to begin without tokens/)
    // so another start would be refused as well
    expect(await files()).toEqual(before)
  })
})
