import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { TAKE_OVER_WAIT_MS } from '../../src/node/server.js'
import { api } from '../support/e2e/modes.js'
import type { LinksocksProcess } from '../support/e2e/process.js'
import { type Scene, type ServerProcess, sceneOfTest } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { echoTarget, errorOf, readAll } from '../support/e2e/targets.js'
import { eventually } from '../support/wait.js'

const isLinux = process.platform === 'linux'
/** Streams end by themselves or the test fails: no drain ends before. */
const PATIENT = ['--drain-timeout', '1h', '--drain-idle', '1h']

const argsOf = (folder: string): readonly string[] => ['-k', 'key of the tests', '--data-dir', folder, ...PATIENT]

interface Info {
  readonly draining: boolean
  readonly draining_processes: readonly { readonly pid: number; readonly streams: number }[]
}

async function infoOf(server: ServerProcess): Promise<Info> {
  return (await (await api(server, 'GET', 'server')).json()) as Info
}

/** Bytes that went out through a token, as its server tells. */
async function usedOf(server: ServerProcess, id: string): Promise<number> {
  const { total } = (await (await api(server, 'GET', `tokens/${id}/usage`)).json()) as { total: { up: number } }
  return total.up
}

/** A server with a token that has a quota, and an open stream through it. */
async function begin(scene: Scene) {
  const folder = join(scene.folder(), 'data')
  const echo = await echoTarget(scene)
  const old = await scene.server(argsOf(folder))
  const policy = { quota: { bytes: 1_000_000_000, period: 'total' } }
  await api(old, 'POST', 'token', { type: 'forward', token: 'F', policy })
  const { tokens } = (await (await api(old, 'GET', 'tokens')).json()) as { tokens: readonly { readonly id: string }[] }
  const id = tokens[0]?.id ?? ''
  const client = await scene.listener(old.url, ['-t', 'F'])
  const stream = await socksConnect(scene, client.socksPort, ['127.0.0.1', echo])
  const say = async (text: string): Promise<void> => {
    stream.write(text)
    expect((await readBytes(stream, text.length)).toString()).toBe(text)
  }
  await say('before')
  return { folder, old, id, stream, say }
}

const waiting = (scene: Scene, folder: string, more: readonly string[]): LinksocksProcess =>
  scene.start(['server', '-H', '127.0.0.1', '-P', '0', '--log-format', 'json', ...argsOf(folder), ...more])

/** Another one than that of a data directory. */
function keyFile(scene: Scene): string {
  const path = join(scene.folder(), 'key')
  writeFileSync(path, 'ab'.repeat(32), { mode: 0o600 })
  return path
}

describe.runIf(isLinux)('linksocks server --take-over', () => {
  const scene = sceneOfTest()

  it('leaves the owner alone when it has another key', async () => {
    const { folder, old, say } = await begin(scene)
    const next = waiting(scene, folder, ['--take-over', '--data-key-file', keyFile(scene)])
    expect(await next.exited).toBe(1)
    expect(next.events('cli.failed')).toMatchObject([{ error: expect.stringContaining('the key does not fit') }])
    expect(old.process.events('cli.stopping')).toEqual([])
    await say('still')
  })

  it('goes on with tokens and counters, while the process before ends when its streams do', async () => {
    const { folder, old, id, stream, say } = await begin(scene)
    const next = await scene.server([...argsOf(folder), '--take-over'])
    expect(next.process.events('store.waiting')).toMatchObject([{ limitMs: TAKE_OVER_WAIT_MS }])
    expect(next.process.events('store.take-over')).toHaveLength(1)
    expect(old.process.events('cli.stopping')).toMatchObject([{ signal: 'SIGTERM' }])
    // it let go before the other one took it
    const [released] = old.process.events('store.released')
    const [opened] = next.process.events('store.opened')
    expect(String(released?.time) <= String(opened?.time)).toBe(true)
    expect(await usedOf(next, id)).toBe(6)
    expect(await infoOf(next)).toMatchObject({
      draining: false,
      draining_processes: [{ pid: old.process.pid, streams: 1 }],
    })
    expect((await api(next, 'PATCH', `tokens/${id}`, { label: 'changed' })).status).toBe(200)
    await say('and after')
    stream.end()
    await readAll(stream)
    expect(await old.process.exited).toBe(0)
    await eventually('counters of both', async () => ((await usedOf(next, id)) === 15 ? true : undefined))
    await eventually('end of the drain', async () => (await infoOf(next)).draining_processes.length === 0 || undefined)
    expect(readdirSync(folder).filter((name) => /^(usage|draining)/.test(name))).toEqual([])
  })

  it('ends streams of a token that is removed, at the process before as well', async () => {
    const { folder, old, id, stream } = await begin(scene)
    const next = await scene.server([...argsOf(folder), '--take-over'])
    const cut = errorOf(stream)
    expect((await api(next, 'DELETE', `tokens/${id}`)).status).toBe(204)
    expect(await cut).toMatchObject({ code: 'ECONNRESET' })
    expect(await old.process.exited).toBe(0)
  })

  it('loses nothing that was acknowledged, and no more than the slack of counters, when the one before is killed', async () => {
    const { folder, old, id, stream, say } = await begin(scene)
    const next = await scene.server([...argsOf(folder), '--take-over'])
    await say('x'.repeat(100))
    // what is counted is left within 5 s
    await eventually('growth', async () => ((await usedOf(next, id)) === 106 ? true : undefined))
    await say('lost')
    const cut = errorOf(stream)
    await old.process.end('SIGKILL')
    await cut
    expect(await usedOf(next, id)).toBe(106)
    await next.process.end('SIGINT')
    const again = await scene.server(argsOf(folder))
    expect(await usedOf(again, id)).toBe(106)
  })

  it('takes in at its next start what was left while nobody had the directory', async () => {
    const { folder, old, id, stream, say } = await begin(scene)
    const ended = old.process.end('SIGTERM')
    await old.process.event('store.released')
    await say('y'.repeat(100))
    await eventually(
      'a file of growth',
      // one that is still being written has another end
      () => readdirSync(folder).some((name) => /^usage-.*\.sealed$/.test(name)) || undefined,
    )
    old.process.kill('SIGKILL')
    await Promise.all([ended, errorOf(stream)])
    const next = await scene.server(argsOf(folder))
    expect(await usedOf(next, id)).toBe(106)
    // what the killed process had not removed yet is swept later
    expect(readdirSync(folder).filter((name) => /^usage-.*\.sealed$/.test(name))).toEqual([])
  })

  it('asks nobody to end before all is right that can be judged without the directory', async () => {
    const { folder, old, say } = await begin(scene)
    const wrong = ['--listen', 'wss://127.0.0.1:0', '--tls-cert', scene.file('none'), '--tls-key', scene.file('none')]
    const next = scene.start(['server', '--log-format', 'json', ...argsOf(folder), '--take-over', ...wrong])
    expect(await next.exited).toBe(2)
    await say('still here')
    expect([next.events('store.take-over'), old.process.events('cli.stopping')]).toEqual([[], []])
  })

  it('signals no process that merely has the number in the directory', async () => {
    const { folder, old } = await begin(scene)
    const bystander = scene.start(['server', '-H', '127.0.0.1', '-P', '0', '-t', 'X', '--log-format', 'json'])
    await bystander.event('server.ready')
    const path = join(folder, 'owner.json')
    const owner = JSON.parse(readFileSync(path, 'utf8')) as { pid: number }
    writeFileSync(path, JSON.stringify({ ...owner, pid: bystander.pid }))
    const next = waiting(scene, folder, ['--take-over'])
    await next.event('store.waiting')
    await old.process.end('SIGINT')
    await next.event('server.ready')
    expect([bystander.events('cli.stopping'), next.events('store.take-over')]).toEqual([[], []])
  })

  it('ends at once when it is asked to while it waits', async () => {
    const { folder, old, say } = await begin(scene)
    const next = waiting(scene, folder, ['--data-dir-wait', '1h'])
    await next.event('store.waiting')
    expect(await next.end('SIGTERM')).toBe(0)
    await say('still here')
    expect(old.process.events('cli.stopping')).toEqual([])
  })
})

describe('a data directory that another process has', () => {
  const scene = sceneOfTest()

  it('is refused, with who has it', async () => {
    const { folder, old } = await begin(scene)
    const second = waiting(scene, folder, [])
    expect(await second.exited).toBe(1)
    expect(second.tail).toMatch(
      new RegExp(
        `tokens\\.db is in use by process ${old.process.pid} on \\S+ \\(LinkSocks \\S+, since \\S+Z\\): stop it`,
      ),
    )
  })

  it('is waited for with --data-dir-wait, and refused after that', async () => {
    const { folder, old } = await begin(scene)
    const late = waiting(scene, folder, ['--data-dir-wait', '200ms'])
    expect(await late.exited).toBe(1)
    expect(late.events('store.waiting')).toMatchObject([{ limitMs: 200 }])
    const next = waiting(scene, folder, ['--data-dir-wait', '1h'])
    await next.event('store.waiting')
    await old.process.end('SIGINT')
    await next.event('server.ready')
  })

  it('needs --data-dir for either flag', async () => {
    for (const flags of [['--take-over'], ['--data-dir-wait', '1s']]) {
      const wrong = scene.start(['server', ...flags])
      expect(await wrong.exited).toBe(2)
      expect(wrong.tail).toContain(`${flags[0]}: needs --data-dir`)
    }
  })
})
