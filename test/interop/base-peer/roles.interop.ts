import { describe, expect, it } from 'vitest'
import { type Scene, type ServerProcess, sceneOfTest } from '../../support/e2e/scene.js'
import { baseClient } from '../peers/base-client.js'
import type { BaseLink } from '../peers/base-link.js'
import { BaseServer } from '../peers/base-server.js'
import { openTarget, Target } from '../peers/base-sides.js'
import {
  associate,
  connect,
  connected,
  connector,
  connectorAdded,
  connectorRefused,
  newId,
} from '../peers/base-wire.js'

const ADD = 1
const REMOVE = 2
const UNAUTHORIZED = 'Unauthorized connector management attempt'

/** Asks for what this peer may not have, and sees that nothing is done. */
async function expectNothingDialled(scene: Scene, link: BaseLink): Promise<void> {
  const target = await Target.open(scene)
  const ids = [newId(), newId(), newId()] as const
  link.send(connect(ids[0], '127.0.0.1', target.port), associate(ids[1]), connect(ids[2], 'localhost', target.port))
  for (const id of ids) {
    const { success, error } = await link.next('connectResponse', id)
    expect([success, error]).toEqual([false, expect.stringContaining('not allowed')])
  }
  await link.ponged()
  expect(target.sockets).toEqual([])
}

async function manage(link: BaseLink, token: string, operation: number): Promise<string> {
  const id = newId()
  link.send(connector(id, token, operation))
  const { success, error, token: given } = await link.next('connectorResponse', id)
  return success ? `done ${given ?? ''}`.trim() : `failed ${error}`
}

const MODES = {
  reverse: ['-r', '-t', 'P', '-p', '0'],
  agent: ['-r', '-t', 'P', '-p', '0', '-c', 'C'],
  autonomy: ['-r', '-a', '-t', 'P'],
} as const

interface Served {
  readonly server: ServerProcess
  readonly provider: BaseLink
}

async function serve(scene: Scene, mode: keyof typeof MODES): Promise<Served> {
  const server = await scene.server(MODES[mode])
  return { server, provider: await baseClient(scene, server.url, { token: 'P', reverse: true }) }
}

describe.each(['reverse', 'agent', 'autonomy'] as const)('our server in %s mode', (mode) => {
  const scene = sceneOfTest()

  it('dials nothing for a provider', async () => {
    const { provider } = await serve(scene, mode)
    await expectNothingDialled(scene, provider)
    expect(provider.isClosed).toBe(false)
  })
})

describe.each(['reverse', 'agent'] as const)('our server in %s mode', (mode) => {
  const scene = sceneOfTest()

  it('lets no provider manage connector tokens', async () => {
    const { provider } = await serve(scene, mode)
    expect(await manage(provider, 'mine', ADD)).toBe(`failed ${UNAUTHORIZED}`)
    expect(await manage(provider, 'C', REMOVE)).toBe(`failed ${UNAUTHORIZED}`)
  })
})

describe('our server in agent mode', () => {
  const scene = sceneOfTest()

  it('lets no connector manage connector tokens', async () => {
    const { server } = await serve(scene, 'agent')
    const link = await baseClient(scene, server.url, { token: 'C', reverse: false })
    expect(await manage(link, 'mine', ADD)).toBe(`failed ${UNAUTHORIZED}`)
  })
})

describe('our server in autonomy mode', () => {
  const scene = sceneOfTest()

  it('lets a provider manage its own connector tokens, and no others', async () => {
    const { server, provider } = await serve(scene, 'autonomy')
    const other = await baseClient(scene, server.url, { token: 'P', reverse: true })
    expect(await manage(provider, 'mine', ADD)).toBe('done mine')
    expect(await manage(provider, 'mine', ADD)).toBe('done mine')
    expect(await manage(other, 'mine', ADD)).toBe('failed connector token already exists')
    expect(await manage(other, 'mine', REMOVE)).toMatch(/^failed /)
    expect(await manage(provider, '', ADD)).toMatch(/^done \S{16,}$/)
    const user = await baseClient(scene, server.url, { token: 'mine', reverse: false })
    const id = newId()
    user.send(connect(id, 'nowhere.test', 80))
    provider.send(connected((await provider.next('connect', id)).id))
    expect((await user.next('connectResponse', id)).success).toBe(true)
    expect(other.all('connect')).toEqual([])
    expect(await manage(provider, 'mine', REMOVE)).toMatch(/^done/)
    await user.closed
  })
})

describe('our server in forward mode', () => {
  const scene = sceneOfTest()

  it('lets no client manage connector tokens, and goes on to dial for it', async () => {
    const { url } = await scene.server(['-t', 'F'])
    const link = await baseClient(scene, url, { token: 'F', reverse: false })
    expect(await manage(link, 'mine', ADD)).toBe(`failed ${UNAUTHORIZED}`)
    const { app } = await openTarget(link, await Target.open(scene))
    app.destroy()
  })
})

describe('our client at a deployed server', () => {
  const scene = sceneOfTest()

  it.each([[[]], [['-f']]])('dials nothing for the server (flags: %j)', async (flags) => {
    const server = await BaseServer.open(scene)
    await scene.listener(server.url, ['-t', 'F', ...flags])
    await expectNothingDialled(scene, await server.link())
  })

  it('registers the connector tokens of an autonomy provider, on every link', async () => {
    const server = await BaseServer.open(scene)
    const process = await scene.provider(server.url, ['-t', 'P', '-c', 'mine'])
    const first = await server.link()
    const asked = await first.next('connector')
    expect([asked.token, asked.raw.at(-1)]).toEqual(['mine', ADD])
    first.send(connectorAdded(asked.id, 'mine'))
    await process.event('connector.registered')
    first.drop()
    const second = await server.link()
    const again = await second.next('connector')
    second.send(connectorRefused(newId(), 'not the one'), connectorRefused(again.id, 'connector token already exists'))
    await process.event('connector.refused')
    expect(second.isClosed).toBe(false)
  })
})
