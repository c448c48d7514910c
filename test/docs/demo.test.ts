import { afterEach, describe, expect, it } from 'vitest'
import { isAlive, TestProcess } from './processes.js'
import { curl } from './shell.js'

const UP = /stays up until Ctrl-C/

describe('the demo', () => {
  let demo: TestProcess | undefined
  afterEach(async () => {
    await demo?.end()
    demo = undefined
  })

  /** The ids of the programs that the demo says it started. */
  function children(): readonly number[] {
    return [...(demo?.output ?? '').matchAll(/\(process (\d+)\)/g)].map(([, pid]) => Number(pid))
  }

  it('brings a page through the tunnel, stays up for more, and leaves nothing behind', async () => {
    demo = new TestProcess(process.execPath, ['examples/demo.mjs'])
    await demo.match(UP)
    expect(demo.output).toMatch(/The page came through: "Hello from behind the provider"/)
    const [, args = ''] = await demo.match(/^ +curl (.*)$/m)
    expect(children().filter(isAlive)).toHaveLength(3)

    const again = await curl(args.split(' '))
    expect(again.stderr).toBe('')
    expect(again.stdout).toContain('<h1>Hello from behind the provider</h1>')

    demo.signal('SIGINT')
    expect(await demo.exit()).toBe(0)
    expect(demo.output).toMatch(/\nStopped\.\n$/)
    expect(children().filter(isAlive)).toEqual([])
  })

  it('uses no settings of another LinkSocks', async () => {
    const env = {
      ...process.env,
      LINKSOCKS_API_KEY: '',
      LINKSOCKS_SOCKS_USERNAME: 'ann',
      LINKSOCKS_URL: 'ws://nope.invalid',
    }
    demo = new TestProcess(process.execPath, ['examples/demo.mjs'], { env })
    await demo.match(UP)
  })

  it('ends with exit code 0 when it is stopped half way', async () => {
    demo = new TestProcess(process.execPath, ['examples/demo.mjs'])
    await demo.match(/\n3\. /)
    demo.signal('SIGTERM')
    expect(await demo.exit()).toBe(0)
    expect(children().filter(isAlive)).toEqual([])
  })

  it('says which program ended, ends the others and fails', async () => {
    demo = new TestProcess(process.execPath, ['examples/demo.mjs'])
    await demo.match(UP)
    const [relay = 0] = children()
    process.kill(relay, 'SIGKILL')
    expect(await demo.exit()).toBe(1)
    expect(demo.output).toMatch(/The demo failed: the relay ended \(SIGKILL\)/)
    expect(children().filter(isAlive)).toEqual([])
  })
})
