import { serverArgs } from '../support/e2e/modes.js'
import type { LinksocksProcess } from '../support/e2e/process.js'
import type { Scene } from '../support/e2e/scene.js'
import { freePort } from '../support/ports.js'
import { until, within } from '../support/wait.js'
import { CuttingRelay, type PathOptions } from './cutting-relay.js'
import { between } from './fuzz/random.js'

/** A tunnel each of whose hops leads through a cutting relay. */
export interface CutScene {
  readonly relays: readonly CuttingRelay[]
  readonly server: LinksocksProcess
  readonly serverPort: number
  readonly clients: readonly LinksocksProcess[]
  readonly socksPort: number
}

export async function startCutScene(
  scene: Scene,
  mode: 'forward' | 'agent',
  { args = [], path = {} }: { args?: readonly string[]; path?: PathOptions } = {},
): Promise<CutScene> {
  const server = await scene.server([...serverArgs(mode, await freePort()), ...args])
  const near = await CuttingRelay.open(scene, server.port, path)
  const base = { server: server.process, serverPort: server.port }
  if (mode === 'forward') {
    const { process, socksPort } = await scene.listener(near.url, ['-t', 'F', ...args])
    return { ...base, relays: [near], clients: [process], socksPort }
  }
  const far = await CuttingRelay.open(scene, server.port, path)
  const provider = await scene.provider(far.url, ['-t', 'P', ...args])
  const { process, socksPort } = await scene.listener(near.url, ['-t', 'C', ...args])
  return { ...base, relays: [near, far], clients: [process, provider], socksPort }
}

/** Cuts one of the links after the other, `times` in all, each when random many bytes have passed it since it was up. */
export async function cutAtRandom(
  { relays, clients }: CutScene,
  { times, random, bytes }: { times: number; random: () => number; bytes: readonly [number, number] },
): Promise<void> {
  for (let count = 0; count < times; count++) {
    const index = between(random, 0, relays.length - 1)
    const [relay, client] = [relays[index], clients[index]]
    if (relay === undefined || client === undefined) throw new Error(`no link ${index}`)
    const up = (): boolean => client.events('link.up').length > client.events('link.down').length
    await until(up)
    const many = between(random, ...bytes)
    await within(relay.passed(many), () => `${many} bytes before cut ${count}`)
    const losses = client.events('link.down').length
    if (relay.cut() !== 1) throw new Error('there was not one link to cut')
    await until(() => client.events('link.down').length > losses)
  }
}
