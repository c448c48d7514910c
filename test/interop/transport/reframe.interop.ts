import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { MODES } from '../../support/e2e/modes.js'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import { startOurs } from '../support/proxies/fronted.js'
import { type Reframer, reframer } from '../support/reframe.js'
import {
  expectBulk,
  expectHalfClose,
  expectInteractive,
  expectParallel,
  expectUdp,
} from '../support/transport-checks.js'

const MB = 1024 * 1024
const PIECES = { forward: 11, reverse: 22, agent: 33, autonomy: 44 } as const

for (const mode of MODES) {
  describe(`${mode} mode through a proxy that takes messages apart`, () => {
    const scene = sceneOfSuite()
    let socksPort = 0
    let proxy: Reframer
    beforeAll(async () => {
      const tunnel = await startOurs(scene, mode, {
        inFront: async (targetPort) => {
          proxy = await reframer(scene, { targetPort, seed: PIECES[mode] })
          return `ws://127.0.0.1:${proxy.port}`
        },
      })
      socksPort = tunnel.socksPort
    })

    it('carries bulk both ways unchanged', () => expectBulk(scene, socksPort, randomBytes(6 * MB)))
    it('carries small exchanges', () => expectInteractive(scene, socksPort))
    it('carries half-close', () => expectHalfClose(scene, socksPort))
    it('carries datagrams', () => expectUdp(scene, socksPort))
    it('carries parallel connections', () => expectParallel(scene, socksPort, 40))

    it('answers each ping between fragments, and sends only frames that RFC 6455 allows', () => {
      const audits = [...proxy.seen.client, ...proxy.seen.server]
      expect(audits.flatMap(({ violations }) => violations)).toEqual([])
      expect(Math.min(...audits.map(({ frames }) => frames))).toBeGreaterThan(0)
      expect(proxy.counts.fragments).toBeGreaterThan(500)
      expect(proxy.counts.empty).toBeGreaterThan(20)
      expect(proxy.counts.pongs).toBeGreaterThan(20)
      expect(proxy.pings.answered).toBeGreaterThan(20)
      // one in each direction of each connection may be under way
      expect(proxy.pings.sent - proxy.pings.answered).toBeLessThanOrEqual(audits.length)
    })

    it('masks each client frame with a new key', () => {
      for (const { frames, masks } of proxy.seen.client) expect(masks.size).toBeGreaterThan(frames * 0.99 - 1)
    })
  })
}

describe('agent mode through a proxy that writes each byte alone', () => {
  const scene = sceneOfSuite()
  let socksPort = 0
  let proxy: Reframer
  beforeAll(async () => {
    const tunnel = await startOurs(scene, 'agent', {
      inFront: async (targetPort) => {
        proxy = await reframer(scene, { targetPort, seed: 55, cut: 'bytes' })
        return `ws://127.0.0.1:${proxy.port}`
      },
    })
    socksPort = tunnel.socksPort
  })

  it('carries small exchanges', () => expectInteractive(scene, socksPort, 10))
  it('carries a little bulk both ways', () => expectBulk(scene, socksPort, randomBytes(30_000)))
  it('sends only frames that RFC 6455 allows', () => {
    expect([...proxy.seen.client, ...proxy.seen.server].flatMap(({ violations }) => violations)).toEqual([])
  })
})
