import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { sceneOfTest } from '../support/e2e-scene.js'
import { readBytes, socksConnect } from '../support/e2e-socks.js'
import { echoTarget } from '../support/e2e-targets.js'

const JUMPING_CLOCK = fileURLToPath(new URL('./jumping-clock.mjs', import.meta.url))
const PINGS = ['--ping-interval', '300ms', '--ping-timeout', '900ms']

const scene = sceneOfTest()

it('a time of day that jumps by days costs no link and no stream', async () => {
  const env = { NODE_OPTIONS: `--import=${JUMPING_CLOCK}` }
  const echo = await echoTarget(scene)
  const server = await scene.server(['-t', 'F', ...PINGS], { env })
  const client = await scene.listener(server.url, ['-t', 'F', ...PINGS], { env })
  const stream = await socksConnect(scene, client.socksPort, ['127.0.0.1', echo])
  const days = new Set<string>()
  for (let turn = 0; turn < 30; turn += 1) {
    stream.write(`turn ${turn}`)
    expect((await readBytes(stream, `turn ${turn}`.length)).toString()).toBe(`turn ${turn}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await (await scene.listener(server.url, ['-t', 'F'], { env })).process.event('link.up')
  for (const line of server.process.log) days.add(String(line.time).slice(0, 10))
  // else nothing would have jumped
  expect(days.size).toBeGreaterThan(1)
  expect([client.process.events('link.down'), server.process.events('link.suspended')]).toEqual([[], []])
})
