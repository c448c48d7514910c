import { Exit } from '../../../src/exit/exit.js'
import { silentLogger } from '../../../src/log.js'
import type { Session } from '../../../src/mux/session.js'
import type { ByteStream, DatagramSocket, Dialer, Target } from '../../../src/ports.js'
import type { StreamMode } from '../../../src/relay/clients/relay-client.js'
import type { StreamEvent } from '../../../src/relay/observe/event-log.js'
import type { Dialled } from '../../../src/relay/observe/statistics.js'
import type { StreamInfo } from '../../../src/relay/observe/streams.js'
import { Calls } from '../../exit/fakes.js'
import { settle } from '../../support/manual-clock.js'
import { type SessionPeer, World } from '../world.js'

export const MODES = ['forward', 'reverse', 'agent'] as const

/** What a relay told of its streams. */
export class Told {
  readonly dialled: Dialled[] = []
  readonly events: StreamEvent[] = []

  constructor({ relay }: World) {
    relay.statistics.onDialled = (dialled) => this.dialled.push(dialled)
    relay.events.subscribe(({ event }) => {
      if (event.type === 'stream.opened' || event.type === 'stream.closed') this.events.push(event)
    })
  }

  /** Results of dials in order. */
  get results(): readonly unknown[] {
    return this.dialled.map(({ result }) => result)
  }

  get closed(): readonly (StreamEvent['ended'] | undefined)[] {
    return this.events.filter(({ type }) => type === 'stream.closed').map(({ ended }) => ended)
  }
}

/** A relay with somebody who asks and an exit that the test answers for, in one mode. */
export class StreamScene {
  readonly mode: StreamMode
  readonly world = new World()
  readonly told = new Told(this.world)
  readonly dials = new Calls<Target, ByteStream>()
  readonly associations = new Calls<undefined, DatagramSocket>()
  asker: SessionPeer | undefined
  provider: SessionPeer | undefined

  private constructor(mode: StreamMode) {
    this.mode = mode
  }

  static async begin(mode: StreamMode): Promise<StreamScene> {
    const scene = new StreamScene(mode)
    const { relay } = scene.world
    await relay.addToken({ type: 'forward', token: 'forward' })
    await relay.addToken({ type: 'reverse', token: 'tenant' })
    await relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant' })
    if (mode !== 'forward') scene.provider = await scene.provide()
    if (mode !== 'reverse') scene.asker = await scene.world.joinSession(mode === 'forward' ? mode : 'member', {})
    await settle()
    return scene
  }

  /** One provider more. */
  async provide(): Promise<SessionPeer> {
    let session: Session | undefined
    const dialer: Dialer = { dial: this.dials.call, associate: (given) => this.associations.call(undefined, given) }
    const exit = new Exit({ dialer, log: silentLogger })
    const connect: NonNullable<Parameters<World['joinSession']>[1]['connect']> = (message) =>
      session !== undefined && exit.connect(session, message)
    const provider = await this.world.joinSession('tenant', { connect }, true)
    session = provider.session
    await settle()
    return provider
  }

  /** What the SOCKS side asks. */
  get dialer(): Dialer {
    const dialer = this.asker?.dialer ?? this.world.openPorts.get(10_000)?.dialer
    if (dialer === undefined) throw new Error('nobody asks')
    return dialer
  }

  /** Dials that came to the exit. */
  get exits(): Calls<Target, ByteStream> {
    return this.mode === 'forward' ? this.world.dials : this.dials
  }

  get sockets(): Calls<undefined, DatagramSocket> {
    return this.mode === 'forward' ? this.world.associations : this.associations
  }

  get streams(): readonly StreamInfo[] {
    return [...this.world.relay.streams()]
  }

  /** Streams that the relay counts: of all, of each client, of each token. */
  get counts(): readonly number[] {
    const { relay } = this.world
    return [
      relay.totals().streams,
      ...[...relay.clients(), ...relay.tokenPage({ limit: 1_000 }).entries].map(({ streams }) => streams),
    ]
  }
}
