import { expect, it, vi } from 'vitest'
import { sceneOfTest } from '../../support/e2e/scene.js'
import { socksProxy } from '../../support/proxies.js'
import { screenshot } from '../support/programs/chromium.js'
import { type Origin, origin } from '../support/programs/origin.js'
import {
  PAGE_HEIGHT,
  PAGE_WIDTH,
  type Page,
  pageOfResources,
  RESOURCES,
  shownColours,
  tileColour,
} from '../support/programs/page.js'
import { describeWith } from '../support/programs/programs.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const NAME = 'wiki.office.test'
const SIZE = [PAGE_WIDTH, PAGE_HEIGHT] as const
const INDEXES = Array.from({ length: RESOURCES }, (_, index) => index)

describeWith(['chromium'], 'Chromium through agent mode', () => {
  const scene = sceneOfTest()
  const open = async (): Promise<{ page: Page; at: Origin }> => {
    const page = pageOfResources()
    return { page, at: await origin(scene, page.listener) }
  }
  /** A browser that knows no name but this one. */
  const direct = ({ port }: Origin): readonly string[] => [
    '--no-proxy-server',
    `--host-resolver-rules=MAP ${NAME} 127.0.0.1:${port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
  ]
  const proxied = (tunnel: ProgramTunnel): readonly string[] => [
    `--proxy-server=socks5://${tunnel.address}`,
    // what it reaches directly as a rule goes through the proxy too
    '--proxy-bypass-list=<-loopback>',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ]
  it.each([
    ['by a name that only the exit knows', () => `${NAME}:80`],
    ['on loopback', ({ port }: Origin) => `127.0.0.1:${port}`],
  ])(
    `loads a page of ${RESOURCES} resources %s, and it looks as it does without the tunnel`,
    async (_name, targetOf) => {
      const without = await open()
      const expected = await screenshot(scene, `http://${targetOf(without.at)}/`, SIZE, direct(without.at))

      const { page, at } = await open()
      // whatever a browser may ask for behind the scenes: all that leaves the exit ends here
      const beyond = await socksProxy({ targetPort: at.port })
      scene.own(() => beyond.close())
      const exitArgs = ['-x', `socks5://127.0.0.1:${beyond.port}`]
      const tunnel = await ProgramTunnel.start(scene, 'agent', { exitArgs })
      const target = targetOf(at)
      const seen = await screenshot(scene, `http://${target}/`, SIZE, proxied(tunnel))

      expect([page.loaded(), without.page.loaded()]).toEqual([RESOURCES, RESOURCES])
      const resources = page.asked.filter((path) => path.startsWith('/r/'))
      expect(new Set(resources).size).toBe(RESOURCES)
      expect([seen.width, seen.height]).toEqual(SIZE)
      expect(shownColours(seen)).toEqual(INDEXES.map(tileColour))
      expect(seen.rgba.equals(expected.rgba)).toBe(true)

      // the origin was reached from the exit alone
      await carriedAll([tunnel], [...new Set(beyond.requests)], at.connections)
      expect(tunnel.opened().filter((opened) => opened === target).length).toBeGreaterThan(1)
    },
  )
})
