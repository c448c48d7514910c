import { expect, it, vi } from 'vitest'
import { sceneOfTest } from '../../support/e2e/scene.js'
import { socksProxy } from '../../support/proxies.js'
import { localCa } from '../support/programs/ca.js'
import { screenshot } from '../support/programs/chromium.js'
import { firstBytes } from '../support/programs/first-bytes.js'
import { origin } from '../support/programs/origin.js'
import {
  PAGE_HEIGHT,
  PAGE_WIDTH,
  pageOfResources,
  RESOURCES,
  shownColours,
  tileColour,
} from '../support/programs/page.js'
import { describeWith } from '../support/programs/programs.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

/** Only the exit knows it. */
const NAME = 'wiki.office.test'
const INDEXES = Array.from({ length: RESOURCES }, (_, index) => index)

describeWith(['chromium', 'openssl'], 'Chromium by one port', () => {
  const scene = sceneOfTest()

  const proxied = (scheme: string) => (port: number) => `--proxy-server=${scheme}://127.0.0.1:${port}`
  const configured = (port: number) => `--proxy-pac-url=http://127.0.0.1:${port}/proxy.pac`

  it.each([
    ['an HTTP proxy', 'forward', 'http', NAME, proxied('http'), 'GET'],
    ['an HTTP proxy', 'agent', 'https', NAME, proxied('http'), 'CONNECT'],
    ['its PAC file', 'reverse', 'http', NAME, configured, 'GET'],
    ['its PAC file', 'agent', 'https', NAME, configured, 'CONNECT'],
    // it looks names up itself
    ['SOCKS4', 'forward', 'http', '127.0.0.1', proxied('socks4'), '4'],
  ] as const)(
    `loads a page of ${RESOURCES} resources by %s in %s mode and %s from %s`,
    async (_way, mode, scheme, host, proxy, begin) => {
      const page = pageOfResources()
      const at = await origin(scene, page.listener, scheme === 'https' ? await localCa(scene) : undefined)
      // whatever a browser may ask for behind the scenes: all that leaves the exit ends here
      const beyond = await socksProxy({ targetPort: at.port })
      scene.own(() => beyond.close())
      const tunnel = await ProgramTunnel.start(scene, mode, { exitArgs: ['-x', `socks5://127.0.0.1:${beyond.port}`] })
      const way = await firstBytes(scene, tunnel.socksPort)
      const flags = [
        proxy(way.port),
        '--proxy-bypass-list=<-loopback>',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
        '--ignore-certificate-errors',
      ]
      const seen = await screenshot(scene, `${scheme}://${host}/`, [PAGE_WIDTH, PAGE_HEIGHT], flags)

      expect(page.loaded()).toBe(RESOURCES)
      expect(shownColours(seen)).toEqual(INDEXES.map(tileColour))
      // by this protocol alone: a PAC file names SOCKS5 too, and browsers have requests of their own
      expect([...way.seen].filter((word) => word === begin || /^\d/.test(word))).toEqual([begin])
      await carriedAll([tunnel], [...new Set(beyond.requests)], at.connections)
      expect(tunnel.opened()).toContain(`${host}:${scheme === 'http' ? 80 : 443}`)
    },
  )
})
