import { vi } from 'vitest'
import { ReceivedPolicies } from '../../../src/client/received-policies.js'
import { DirectDialer } from '../../../src/exit/direct-dialer.js'
import { Exit } from '../../../src/exit/exit.js'
import { silentLogger } from '../../../src/log.js'
import type { Session, SessionHandler } from '../../../src/mux/session.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import type { AccessRule, Clock, Dialer, SocketAddress } from '../../../src/ports.js'
import { Rep, repOf } from '../../../src/protocol/rep.js'
import type { StreamMode } from '../../../src/relay/clients/relay-client.js'
import type { PolicyEvent } from '../../../src/relay/observe/event-log.js'
import type { TokenSpec } from '../../../src/relay/tokens/token-spec.js'
import { FakeUdp, failureOf } from '../../exit/fakes.js'
import { settle } from '../../support/manual-clock.js'
import { type MemoryStream, memoryStreamPair } from '../../support/memory-stream.js'
import { TestPeer } from '../../support/test-peer.js'
import { type SessionPeer, World } from '../world.js'

/** What an exit sees of the world. */
class FakeNetwork {
  /** Addresses of names. */
  readonly names = new Map<string, readonly string[]>()
  /** Where streams were connected to. */
  readonly connected: SocketAddress[] = []
  /** The far ends of these. */
  readonly far: MemoryStream[] = []
  readonly udp = new FakeUdp()
  readonly lookups: string[] = []
  /** Look-ups, and connections, wait for these. */
  lookupsWait: Promise<void> | undefined
  connectionsWait: Promise<void> | undefined

  readonly dialer = (clock: Clock): Dialer =>
    new DirectDialer({
      clock,
      resolve: async (host) => {
        this.lookups.push(host)
        await this.lookupsWait
        return this.names.get(host) ?? []
      },
      connectTcp: async (address) => {
        this.connected.push(address)
        await this.connectionsWait
        const [near, far] = memoryStreamPair()
        this.far.push(far)
        return near
      },
      bindDatagrams: this.udp.bind,
    })
}

/** The token whose policy is tried in each mode. */
const SUBJECT = { forward: 'forward', reverse: 'tenant', agent: 'member' } as const

interface SceneOptions {
  readonly reversePolicy?: TokenPolicy | undefined
  /** A `new` one can judge by policies. */
  readonly provider?: 'old' | 'new'
  /** Of the token that is asked with. */
  readonly rules?: readonly AccessRule[] | undefined
}

/** A relay with somebody who asks and an exit, in one mode, and a policy on the token that is asked with. */
export class PolicyScene {
  readonly mode: StreamMode
  readonly network = new FakeNetwork()
  readonly world: World
  readonly events: PolicyEvent[] = []
  asker: SessionPeer | undefined

  /** Whether providers can judge. */
  readonly #knows: boolean
  readonly providers: { readonly peer: SessionPeer; readonly policies: ReceivedPolicies | undefined }[] = []

  private constructor(mode: StreamMode, knows: boolean) {
    this.mode = mode
    this.#knows = knows
    this.world = new World({ createExitDialer: () => this.network.dialer(this.world.clock) })
    this.world.relay.events.subscribe(({ event }) => {
      if (event.type === 'policy.refused') this.events.push(event)
    })
  }

  /** @param policy of the token that is asked with */
  static async begin(
    mode: StreamMode,
    policy?: TokenPolicy,
    { reversePolicy, provider = 'old', rules }: SceneOptions = {},
  ): Promise<PolicyScene> {
    const scene = new PolicyScene(mode, provider === 'new')
    const specs: TokenSpec[] = [
      { type: 'forward', token: 'forward' },
      { type: 'reverse', token: 'tenant', policy: reversePolicy },
      { type: 'connector', token: 'member', reverseToken: 'tenant' },
    ]
    for (const spec of specs) {
      const own = spec.token === SUBJECT[mode] ? { rules, ...(policy && { policy }) } : {}
      await scene.world.relay.addToken({ ...spec, ...own })
    }
    if (mode !== 'forward') await scene.provide()
    if (mode !== 'reverse') scene.asker = await scene.world.joinSession(SUBJECT[mode], {})
    await settle()
    return scene
  }

  get clock() {
    return this.world.clock
  }

  async provide(knows = this.#knows): Promise<SessionPeer> {
    let session: Session | undefined
    const policies = knows ? new ReceivedPolicies(silentLogger) : undefined
    const exit = new Exit({
      dialer: this.network.dialer(this.world.clock),
      log: silentLogger,
      admit: (message) => policies?.judgeOf(message),
      observe: (message) => policies?.observe(message),
    })
    const handler: Partial<SessionHandler> = {
      connect: (message) => session !== undefined && exit.connect(session, message),
      policy: (raw) => policies?.receive(raw),
    }
    const peer = await this.world.joinSession('tenant', handler, true, knows)
    session = peer.session
    this.providers.push({ peer, policies })
    await settle()
    return peer
  }

  /** What the application's side asks. */
  get dialer(): Dialer {
    const dialer = this.asker?.dialer ?? this.world.openPorts.get(10_000)?.dialer
    if (dialer === undefined) throw new Error('nobody asks')
    return dialer
  }

  get subject(): string {
    return this.world.relay.tokenId(SUBJECT[this.mode]) ?? ''
  }

  /** Sets the policy of the token that is asked with. */
  async set(policy: TokenPolicy | null, token: string = SUBJECT[this.mode]): Promise<void> {
    const { relay } = this.world
    const cleared = { egress: null, egressDefault: null, maxStreams: null, hours: null, connectsPerMinute: null }
    await relay.changeToken(relay.tokenId(token) ?? '', { policy: policy && { ...cleared, ...policy } })
    await settle()
  }

  /** Changes fields of the policy, others stay. */
  async change(policy: TokenPolicy, token: string = SUBJECT[this.mode]): Promise<void> {
    const { relay } = this.world
    await relay.changeToken(relay.tokenId(token) ?? '', { policy })
    await settle()
  }

  /** Counts the Policy messages that the first provider gets from now on. */
  sentPolicies(): () => number {
    const policies = this.providers[0]?.policies
    if (policies === undefined) throw new Error('no provider that can judge')
    const receive = vi.spyOn(policies, 'receive')
    return () => receive.mock.calls.length
  }

  async open(host: string, port = 443): Promise<TestPeer> {
    const stream = new TestPeer(await this.dialer.dial({ host, port }))
    await settle()
    return stream
  }

  /** The REP of a dial; 0 when it came about. */
  async rep(host: string, port = 443): Promise<number> {
    try {
      await this.open(host, port)
      return Rep.Succeeded
    } catch (thrown) {
      return repOf(thrown as never)
    }
  }

  /** The text of a refusal. */
  async refusal(host: string, port = 443): Promise<string> {
    const { code, message } = await failureOf(this.dialer.dial({ host, port }))
    return code === 'ERR_DIAL_NOT_ALLOWED' ? message : `${code}: ${message}`
  }

  /** Reasons of the refusals that were counted, each with how many. */
  get refused(): Readonly<Record<string, number>> {
    const counts = Object.entries(this.world.relay.statistics.policyRefusals)
    return Object.fromEntries(counts.filter(([, count]) => count > 0))
  }
}
