import { describe, expect, it } from 'vitest'
import type { Admitted, Ticket } from '../../src/client/connect-link.js'
import { LeftSessions, MAX_LEFT_SESSIONS } from '../../src/client/left-sessions.js'
import type { ServedSession } from '../../src/client/served-session.js'
import { LinkSocksError } from '../../src/errors.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import {
  encodeAuthResponse,
  encodeConnect,
  encodeConnectResponse,
  encodeDataHead,
  encodeDisconnect,
  MessageType,
} from '../../src/protocol/messages.js'
import { encodeSessionControl, SessionOp } from '../../src/protocol/session-control.js'
import type { Trailer } from '../../src/protocol/trailer.js'
import { NIL_UUID } from '../../src/protocol/uuid.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { concat, TestPeer } from '../support/test-peer.js'
import { LogRecorder, type ScriptedLink } from './fixture.js'
import { upTunnel } from './tunnel-fixture.js'

const TARGET = { host: 'far.test', port: 80 }
const URLS = ['ws://one.test', 'ws://two.test']
const RESUME_TIMEOUT_MS = 60_000

type Stage = Awaited<ReturnType<typeof upTunnel>>

const id = (seed: number): Uint8Array => new Uint8Array(16).fill(seed)
const data = (channelId: Uint8Array, text: string): Uint8Array =>
  concat(encodeDataHead(channelId, text.length), new TextEncoder().encode(text))
const hostOf = (link: ScriptedLink): string => new URL(link.url).host
const trailerOf = (link: ScriptedLink): Trailer | undefined => link.received(MessageType.Auth)[0]?.trailer
const controls = (link: ScriptedLink, op: number): number =>
  link.messages.filter((raw) => Buffer.compare(raw, encodeSessionControl({ op } as never)) === 0).length
const countOf = (link: ScriptedLink): number =>
  link.messages.filter((raw) => raw[1] !== MessageType.Auth && raw[1] !== MessageType.SessionControl).length

/** The newest link to a host. */
function linkTo(stage: Stage, host: string): ScriptedLink {
  const link = stage.server.links.findLast((one) => hostOf(one) === host)
  if (link === undefined) throw new Error(`no link to ${host}`)
  return link
}

/** A channel that is open. */
async function openChannel(stage: Stage, link: ScriptedLink) {
  const dialled = stage.tunnel.dial(TARGET)
  await settle()
  const channelId = link.received(MessageType.Connect).at(-1)?.channelId ?? NIL_UUID
  link.send(encodeConnectResponse({ success: true, channelId, trailer: { streamControl: 65_536 } }))
  return { channelId, stream: new TestPeer(await dialled) }
}

/** A client that has gone on with the second server, as the first could not be reached, with a channel of the first. */
async function failedOver(options: Parameters<typeof upTunnel>[0] = {}) {
  const stage = await upTunnel({ urls: URLS, ...options }, { admits: { sessionId: id(1), keepsOrder: true } })
  const old = stage.server.link()
  const { channelId, stream } = await openChannel(stage, old)
  stage.server.unreachable.add('one.test')
  stage.server.admits = { sessionId: id(2), keepsOrder: true }
  old.transport.cut()
  await settle()
  await stage.clock.advanceAsync(0)
  stage.server.admits = undefined
  return { stage, old, next: linkTo(stage, 'two.test'), channelId, stream }
}

/** The first server can be reached again, and is asked. */
async function firstIsBack(stage: Stage): Promise<ScriptedLink> {
  const before = stage.server.links.length
  stage.server.unreachable.clear()
  for (let ms = 0; ms < RESUME_TIMEOUT_MS && stage.server.links.length === before; ms += 500) {
    await stage.clock.advanceAsync(500)
  }
  return linkTo(stage, 'one.test')
}

describe('A client that goes on with another server', () => {
  it('keeps the streams of the first, and goes on with them there when it is back', async () => {
    const { stage, old, next, channelId, stream } = await failedOver()
    stream.write('sent meanwhile')
    expect([hostOf(next), stage.tunnel.links, stream.closed]).toEqual(['two.test', 1, false])
    const back = await firstIsBack(stage)
    expect([back.secretInBand, trailerOf(back)]).toEqual([true, { sessionId: id(1), received: 1 }])
    await back.admit({ sessionId: id(3), received: countOf(old), keepsOrder: true })
    back.send(data(channelId, 'and here'))
    await settle()
    expect([stream.text, back.received(MessageType.Data).length]).toEqual(['and here', 1])
    await stage.tunnel.close()
    expect(stage.clock.pending).toBe(0)
  })

  it('opens nothing new with the first, tells it so, and ends there with the last stream', async () => {
    const { stage, old, next, stream } = await failedOver()
    const back = await firstIsBack(stage)
    await back.admit({ sessionId: id(3), received: countOf(old) })
    expect([controls(back, SessionOp.Drain), stage.tunnel.links]).toEqual([1, 1])
    await openChannel(stage, next)
    expect([back.received(MessageType.Connect).length, next.received(MessageType.Connect).length]).toEqual([0, 1])
    stream.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await stage.clock.advanceAsync(500)
    expect([back.closed?.code, next.closed]).toEqual([1000, undefined])
    await stage.tunnel.close()
  })

  it('goes back again when that is lost, with the newest id', async () => {
    const { stage, old, stream } = await failedOver()
    const back = await firstIsBack(stage)
    await back.admit({ sessionId: id(3), received: countOf(old) })
    back.transport.cut()
    await settle()
    const again = await firstIsBack(stage)
    expect([trailerOf(again)?.sessionId, stream.closed]).toEqual([id(3), false])
    await stage.tunnel.close()
  })

  it('resets the streams where the first has forgotten them, and leaves no session there', async () => {
    const { stage, next, stream } = await failedOver()
    const back = await firstIsBack(stage)
    await back.admit({ sessionId: id(3) })
    expect(stream.error).toMatchObject({
      code: 'ERR_LINK_LOST',
      message: 'the server does not know the session any more',
    })
    expect([controls(back, SessionOp.End), back.closed?.code, next.closed, stage.tunnel.links]).toEqual([
      ...[1, 1000],
      ...[undefined, 1],
    ])
    expect(stage.log.of('session.lost')).toHaveLength(1)
    await stage.tunnel.close()
  })

  it('resets them where the first refuses the token by now, and asks no more', async () => {
    const { stage, stream } = await failedOver()
    const back = await firstIsBack(stage)
    back.send(encodeAuthResponse({ success: false, error: 'invalid token' }))
    await settle()
    expect(stream.error?.code).toBe('ERR_AUTH_REJECTED')
    const { attempts } = stage.server
    await stage.clock.advanceAsync(RESUME_TIMEOUT_MS / 2)
    expect(stage.server.attempts).toBe(attempts)
    await stage.tunnel.close()
  })

  it('gives them up after the time of a session, and asks no more', async () => {
    const { stage, stream } = await failedOver({ resumeTimeoutMs: 5_000 })
    await stage.clock.advanceAsync(4_999)
    expect(stream.closed).toBe(false)
    await stage.clock.advanceAsync(1)
    expect([stream.error?.code, stage.tunnel.links]).toEqual(['ERR_LINK_LOST', 1])
    const { attempts } = stage.server
    await stage.clock.advanceAsync(RESUME_TIMEOUT_MS / 2)
    expect(stage.server.attempts).toBe(attempts)
    await stage.tunnel.close()
    expect(stage.clock.pending).toBe(0)
  })

  it('does not go back where no stream is open', async () => {
    const stage = await upTunnel({ urls: URLS }, { admits: { sessionId: id(1) } })
    stage.server.unreachable.add('one.test')
    stage.server.link().transport.cut()
    await settle()
    await stage.clock.advanceAsync(0)
    const { attempts } = stage.server
    await stage.clock.advanceAsync(RESUME_TIMEOUT_MS / 3)
    expect([stage.server.attempts, stage.tunnel.links]).toEqual([attempts, 1])
    await stage.tunnel.close()
  })

  it.each(['waits', 'connects', 'has gone back'])('ends them when it is closed while it %s', async (when) => {
    const { stage, old, stream } = await failedOver()
    if (when !== 'waits') {
      const back = await firstIsBack(stage)
      if (when === 'has gone back') await back.admit({ sessionId: id(3), received: countOf(old) })
    }
    await stage.tunnel.close()
    expect([stream.closed, stage.clock.pending]).toEqual([true, 0])
  })

  it('lets them end when it drains itself', async () => {
    const { stage, old, stream } = await failedOver()
    const back = await firstIsBack(stage)
    await back.admit({ sessionId: id(3), received: countOf(old) })
    let over = false
    const draining = stage.tunnel.drain({ limitMs: 60_000, idleMs: 60_000 }).then(() => {
      over = true
    })
    await stage.clock.advanceAsync(1_000)
    expect([over, stream.closed]).toEqual([false, false])
    stream.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await stage.clock.advanceAsync(1_000)
    await draining
    await stage.tunnel.close()
  })

  it('lets them end where the first drains then', async () => {
    const { stage, old, channelId, stream } = await failedOver()
    const back = await firstIsBack(stage)
    await back.admit({ sessionId: id(3), received: countOf(old) })
    back.send(encodeSessionControl({ op: SessionOp.Drain }))
    await stage.clock.advanceAsync(500)
    back.send(data(channelId, 'still here'), encodeDisconnect({ channelId }))
    await stage.clock.advanceAsync(500)
    expect([stream.text, back.closed?.code, stage.tunnel.links]).toEqual(['still here', 1000, 1])
    await stage.tunnel.close()
  })
})

describe('LeftSessions', () => {
  /** What is asked of a session that was left. */
  class FakeServed {
    readonly url = 'ws://one.test'
    readonly ticket: Ticket | undefined = { url: this.url, id: id(1), token: undefined, received: 0 }
    reason: LinkSocksError | undefined
    #ended = (): void => {}
    readonly session = {
      channels: 1,
      abort: (reason: LinkSocksError): void => {
        this.reason = reason
        this.#ended()
      },
    }

    leave(ended: () => void): boolean {
      this.#ended = ended
      return true
    }
  }

  function leftSessions() {
    const clock = new ManualClock()
    const signals: AbortSignal[] = []
    const connect = (_ticket: Ticket, signal: AbortSignal): Promise<Admitted> => {
      signals.push(signal)
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const left = new LeftSessions({ clock, crypto: nodeCrypto, log: new LogRecorder(), connect, dismiss: () => {} })
    const keep = (served: FakeServed): void => left.keep(served as unknown as ServedSession)
    return { clock, signals, left, keep }
  }

  it(`are ${MAX_LEFT_SESSIONS} at most: one more ends the oldest`, async () => {
    const { clock, signals, left, keep } = leftSessions()
    const served = Array.from({ length: MAX_LEFT_SESSIONS + 1 }, () => new FakeServed())
    for (const one of served.slice(0, -1)) keep(one)
    await clock.advanceAsync(0)
    expect([left.size, signals.length, served.filter(({ reason }) => reason).length]).toEqual([16, 16, 0])
    keep(served.at(-1) as FakeServed)
    await clock.advanceAsync(0)
    expect([left.size, served.map(({ reason }) => reason !== undefined)]).toEqual([16, served.map((_, at) => at === 0)])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, ...Array(MAX_LEFT_SESSIONS).fill(false)])
  })

  it('try no longer once they are closed, and keep no more', async () => {
    const { clock, signals, left, keep } = leftSessions()
    const [before, after] = [new FakeServed(), new FakeServed()]
    keep(before)
    await clock.advanceAsync(0)
    left.close()
    left.close()
    keep(after)
    await clock.advanceAsync(RESUME_TIMEOUT_MS)
    expect([left.size, signals.length, signals[0]?.aborted, clock.pending]).toEqual([0, 1, true, 0])
    expect([before.reason, after.reason?.code]).toEqual([undefined, 'ERR_LINK_LOST'])
  })
})

describe('A provider that goes on with another server', () => {
  it('lets what the first asked for come to its end', async () => {
    const stage = await upTunnel({ urls: URLS, reverse: true }, { admits: { sessionId: id(1), keepsOrder: true } })
    const old = stage.server.link()
    old.send(encodeConnect({ protocol: 1, channelId: id(9), target: TARGET, trailer: { streamControl: 65_536 } }))
    await settle()
    stage.server.unreachable.add('one.test')
    stage.server.admits = { sessionId: id(2), keepsOrder: true }
    old.transport.cut()
    await settle()
    await stage.clock.advanceAsync(0)
    stage.server.admits = undefined
    const far = new TestPeer(stage.exit.far[0] as never)
    const back = await firstIsBack(stage)
    await back.admit({ sessionId: id(3), received: countOf(old) })
    far.write('from the destination')
    await settle()
    expect([controls(back, SessionOp.Drain), back.received(MessageType.Data).length]).toEqual([1, 1])
    await stage.tunnel.close()
  })
})
