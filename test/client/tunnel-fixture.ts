import { Tunnel, type TunnelOptions } from '../../src/client/tunnel.js'
import { LinkSocksError } from '../../src/errors.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { nodeInflate } from '../../src/node/system/inflate.js'
import type { DatagramSocket, Dialer, Target } from '../../src/ports.js'
import { RESUME_TIMEOUT_MS } from '../../src/protocol/limits.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { type MemoryStream, memoryStreamPair } from '../support/memory-stream.js'
import { LogRecorder, ScriptedServer } from './fixture.js'

/** The way out of a provider: memory streams, whose far ends the test holds. */
class FakeExit implements Dialer {
  readonly dialled: Target[] = []
  readonly far: MemoryStream[] = []

  async dial(target: Target): Promise<MemoryStream> {
    this.dialled.push(target)
    const [near, far] = memoryStreamPair()
    this.far.push(far)
    return near
  }

  async associate(): Promise<DatagramSocket> {
    throw new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'no UDP here')
  }
}

/** A tunnel and everything around it. */
export class TunnelStage {
  readonly clock = new ManualClock()
  readonly log = new LogRecorder()
  readonly server = new ScriptedServer()
  readonly exit = new FakeExit()
  /** Exit dialers that were made: one for each link of a provider. */
  exits = 0
  readonly tunnel: Tunnel
  started: Promise<void> | undefined

  constructor(options: Partial<TunnelOptions> = {}) {
    const { clock, log, server } = this
    this.tunnel = new Tunnel({
      openTransport: server.openTransport,
      clock,
      crypto: nodeCrypto,
      inflate: nodeInflate,
      log,
      urls: ['ws://relay.test'],
      token: 'secret-token',
      reverse: false,
      authInBand: false,
      connectorTokens: [],
      reconnect: true,
      retryAuth: false,
      threads: 1,
      fastOpen: false,
      trace: false,
      version: '1.2.3',
      resumeTimeoutMs: RESUME_TIMEOUT_MS,
      createExitDialer: () => {
        this.exits += 1
        return this.exit
      },
      ...options,
    })
  }

  /** Starts, without waiting for a link. */
  async start(): Promise<this> {
    this.started = this.tunnel.start()
    this.started.catch(() => {})
    await settle()
    return this
  }
}

/** A tunnel whose links the server admits at once, with all of them up. */
export async function upTunnel(options: Partial<TunnelOptions> = {}, server: Partial<ScriptedServer> = {}) {
  const stage = new TunnelStage(options)
  Object.assign(stage.server, { admits: {}, ...server })
  await stage.start()
  await stage.started
  await settle()
  return stage
}
