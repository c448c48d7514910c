import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import {
  encodeConnect,
  encodeConnectorResponse,
  encodeConnectResponse,
  MessageType,
} from '../../src/protocol/messages.js'
import { encodeSessionControl, SessionOp } from '../../src/protocol/session-control.js'
import { settle } from '../support/manual-clock.js'
import { TestPeer } from '../support/test-peer.js'
import { upTunnel } from './tunnel-fixture.js'

const TARGET = { host: 'far.test', port: 80 }
const id = (seed: number): Uint8Array => new Uint8Array(16).fill(seed)
const DRAIN = encodeSessionControl({ op: SessionOp.Drain })
const admits = (seed: number) => ({ sessionId: id(seed), keepsOrder: true })

/** A client with one channel on a server that then drains, and its link to the next one. */
async function drained(options: Parameters<typeof upTunnel>[0] = {}) {
  const stage = await upTunnel(options, { admits: admits(1) })
  const old = stage.server.link()
  const dialled = stage.tunnel.dial(TARGET)
  await settle()
  const channelId = old.received(MessageType.Connect)[0]?.channelId ?? id(0)
  old.send(encodeConnectResponse({ success: true, channelId, trailer: { streamControl: 65_536 } }))
  const stream = new TestPeer(await dialled)
  stage.server.admits = admits(2)
  old.send(DRAIN)
  await settle()
  await stage.clock.advanceAsync(500)
  return { stage, old, next: stage.server.link(), stream }
}

describe('A client whose server drains', () => {
  it('opens new channels on another link, while the old one keeps its own and ends with the last of them', async () => {
    const { stage, old, next, stream } = await drained()
    expect([next === old, stage.tunnel.links, stream.closed]).toEqual([false, 1, false])
    void stage.tunnel.dial(TARGET).catch(() => {})
    await settle()
    expect([old.received(MessageType.Connect).length, next.received(MessageType.Connect).length]).toEqual([1, 1])
    stream.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await stage.clock.advanceAsync(500)
    expect([old.closed?.code, next.closed]).toEqual([1000, undefined])
    await stage.tunnel.close()
  })

  it('ends the old link, too, when it is closed', async () => {
    const { stage, old, stream } = await drained()
    await stage.tunnel.close()
    expect([stream.closed, old.closed?.code]).toEqual([true, 1000])
    expect(stage.clock.pending).toBe(0)
  })

  it('ends what is on the old link when that is lost: nobody comes back to such a server', async () => {
    const { stage, old, stream } = await drained()
    old.transport.cut()
    await settle()
    expect([stream.closed, stage.tunnel.links]).toEqual([true, 1])
    await stage.tunnel.close()
  })
})

describe('A provider', () => {
  it('keeps the registration of its tokens on the next server when the old link ends', async () => {
    const stage = await upTunnel({ reverse: true, connectorTokens: [''] }, { admits: admits(1) })
    const old = stage.server.link()
    stage.server.admits = admits(2)
    old.send(encodeConnect({ protocol: 1, channelId: id(9), target: TARGET }), DRAIN)
    await settle()
    await stage.clock.advanceAsync(500)
    const next = stage.server.link()
    const [asked] = next.received(MessageType.Connector)
    stage.exit.far[0]?.abort(new LinkSocksError('ERR_STREAM_RESET', 'gone'))
    old.transport.cut()
    await settle()
    next.send(encodeConnectorResponse({ requestId: asked?.requestId ?? id(0), success: true, token: 'made' }))
    await settle()
    expect(stage.tunnel.connectorTokens).toEqual(['made'])
    await stage.tunnel.close()
  })

  it('that drains itself dials nothing new, tells why, and connects no more', async () => {
    const stage = await upTunnel({ reverse: true }, { admits: admits(1) })
    const link = stage.server.link()
    link.send(encodeConnect({ protocol: 1, channelId: id(9), target: TARGET }))
    await settle()
    const draining = stage.tunnel.drain({ limitMs: 5_000 })
    link.send(encodeConnect({ protocol: 1, channelId: id(8), target: TARGET }))
    await settle()
    expect(stage.exit.dialled).toHaveLength(1)
    const refusal = link.received(MessageType.ConnectResponse).find(({ success }) => !success)
    expect(refusal?.error).toContain('shutting down')
    await stage.clock.advanceAsync(5_000)
    await draining
    await stage.tunnel.close()
  })
})
