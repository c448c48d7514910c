import { expect, it } from 'vitest'
import type { LinksocksProcess } from '../support/e2e/process.js'
import { sceneOfTest } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { echoTarget } from '../support/e2e/targets.js'
import { until } from '../support/wait.js'
import { jumpingDays } from './preload.js'

/** Below --ping-timeout: what is judged when the link has been silent for so long is judged after each jump. */
const JUDGED_MS = 40_000
const DAY_MS = 86_400_000
/** Where the time of day is then, in days. */
const JUMPS = [1, -1]

const scene = sceneOfTest()

it('a time of day that jumps by days costs no link and no stream', async () => {
  const env = jumpingDays(JUDGED_MS)
  const echo = await echoTarget(scene)
  const server = await scene.server(['-t', 'F', '--ping-timeout', '45s'], { env })
  const client = await scene.listener(server.url, ['-t', 'F', '--ping-timeout', '45s'], { env })
  const processes = [server.process, client.process]
  const stream = await socksConnect(scene, client.socksPort, ['127.0.0.1', echo])

  async function expectEcho(text: string): Promise<void> {
    stream.write(text)
    expect((await readBytes(stream, text.length)).toString()).toBe(text)
  }

  /** The time that the server's log has when somebody new comes. */
  async function timeOfNext(): Promise<number> {
    const known = links(server.process)
    await scene.listener(server.url, ['-t', 'F'])
    await until(() => links(server.process) > known)
    return Date.parse(String(server.process.events('link.admitted').at(-1)?.time))
  }

  const times = [await timeOfNext()]
  for (let jump = 1; jump <= JUMPS.length; jump += 1) {
    await expectEcho(`before jump ${jump}`)
    for (const process of processes) process.kill('SIGUSR2')
    await until(() => processes.every((process) => process.events('test.timers').length === jump))
    await expectEcho(`after jump ${jump}`)
    times.push(await timeOfNext())
  }
  // else nothing would have jumped
  expect(times.map((time) => Math.round((time - (times[0] ?? 0)) / DAY_MS))).toEqual([0, ...JUMPS])
  expect([client.process.events('link.down'), server.process.events('link.suspended')]).toEqual([[], []])
})

function links(server: LinksocksProcess): number {
  return server.events('link.admitted').length
}
