import { describe, expect, it } from 'vitest'
import { encodeAuthResponse } from '../../src/protocol/messages.js'
import { settle } from '../support/manual-clock.js'
import type { ScriptedLink } from './fixture.js'
import { TunnelStage } from './tunnel-fixture.js'

const ways: [string, (link: ScriptedLink) => void][] = [
  ['an empty message', (link) => link.send(new Uint8Array(0))],
  ['a close frame', (link) => link.transport.close(1001, '')],
]
describe('A server that ends the link in one burst with its answer', () => {
  it.each(ways.flatMap(([name, way]) => [false, true].map((resumable) => [name, resumable, way] as const)))(
    'is connected to again: with %s, resumable: %s',
    async (_, resumable, way) => {
      const stage = await new TunnelStage().start()
      const trailer = resumable ? { sessionId: new Uint8Array(16).fill(1) } : {}
      stage.server.link().send(encodeAuthResponse({ success: true, trailer }))
      way(stage.server.link())
      await settle()
      stage.server.admits = {}
      await stage.clock.advanceAsync(30_000)
      expect([stage.server.attempts, stage.tunnel.links]).toEqual([2, 1])
      await stage.tunnel.close()
    },
  )
})
