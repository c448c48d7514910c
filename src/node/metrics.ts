import type * as Prom from 'prom-client'
import type { Registry } from 'prom-client'
import type { FailedAttempts } from '../inbound/failed-attempts.js'
import { type ClientInfo, totalsOf } from '../relay/observe/client-info.js'
import { countStream, perStreamKind, type Statistics } from '../relay/observe/statistics.js'
import type { Relay } from '../relay/relay.js'
import { QUOTA_WARNING, type QuotaState } from '../relay/traffic/token-traffic.js'

type PromClient = typeof Prom

/** What dials take, in seconds: from the same machine to giving up. */
const DIAL_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** Of a stream; `inbound` is what the client that asked speaks. */
const STREAM_LABELS = ['mode', 'protocol', 'inbound']
const DELAY_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** Of the library: sums over a gauge with the same name without `_total`, which only counters may end in. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export interface MetricsOptions {
  readonly relay: Relay
  readonly attempts: FailedAttempts
  readonly version: string
  readonly eventReaders: () => number
}

/** Metrics in the text format of Prometheus. What can be read when it is asked for is not counted twice. */
export class Metrics {
  readonly contentType: string
  readonly #registry: Registry
  /** The library's own, of the process. */
  readonly #process: Registry
  readonly #delay: { observe(seconds: number): void }

  private constructor(prom: PromClient, options: MetricsOptions) {
    this.#registry = new prom.Registry()
    this.#process = processMetrics(prom)
    this.contentType = this.#registry.contentType
    const registers = [this.#registry]
    const dials = new prom.Counter({
      name: 'linksocks_dials_total',
      help: 'Dials by how they came out: REP of RFC 1928, or cancelled',
      labelNames: ['mode', 'rep'],
      registers,
    })
    const latency = new prom.Histogram({
      name: 'linksocks_dial_duration_seconds',
      help: 'From the request for a stream to its answer',
      labelNames: ['mode'],
      buckets: DIAL_BUCKETS,
      registers,
    })
    this.#delay = new prom.Histogram({
      name: 'linksocks_event_loop_delay_seconds',
      help: 'How late timers come',
      buckets: DELAY_BUCKETS,
      registers,
    })
    options.relay.statistics.onDialled = ({ mode, result, tookMs }) => {
      dials.inc({ mode, rep: String(result) })
      if (result !== 'cancelled') latency.observe({ mode }, tookMs / 1_000)
    }
    registerState(prom, registers, options)
    registerTotals(prom, registers, options)
  }

  static async open(options: MetricsOptions): Promise<Metrics> {
    return new Metrics(await import('prom-client'), options)
  }

  /** @param delayMs how late a timer came */
  eventLoopDelayed(delayMs: number): void {
    this.#delay.observe(delayMs / 1_000)
  }

  async render(): Promise<string> {
    return `${await this.#registry.metrics()}\n${await this.#process.metrics()}`
  }
}

let ofProcess: Registry | undefined

/** Once for all servers of a process: what watches the garbage collector can't be ended. */
function processMetrics(prom: PromClient): Registry {
  if (ofProcess !== undefined) return ofProcess
  const registry = new prom.Registry()
  prom.collectDefaultMetrics({ register: registry })
  for (const name of MISNAMED) registry.removeSingleMetric(name)
  ofProcess = registry
  return registry
}

/** What is so now. */
function registerState(prom: PromClient, registers: Registry[], options: MetricsOptions): void {
  const { relay, version, eventReaders } = options
  const gauge = (name: string, help: string, labelNames: string[], read: (set: SetValue) => void): void => {
    new prom.Gauge({
      name: `linksocks_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        read((labels, value) => this.set(labels, value))
      },
    })
  }
  gauge('build_info', 'Always 1', ['version'], (set) => set({ version }, 1))
  gauge('tokens', 'Tokens', ['type'], (set) => {
    for (const [type, count] of Object.entries(relay.tokenCounts)) set({ type }, count)
  })
  gauge('sessions', 'Sessions of clients', ['role', 'state'], (set) => {
    const counts = perSessionKind()
    for (const { role, state } of relay.clients()) counts[role][state] += 1
    setEach(counts, ['role', 'state'], set)
  })
  gauge('channels', 'Streams that are not over', STREAM_LABELS, (set) => {
    const counts = perStreamKind()
    for (const stream of relay.streams()) countStream(counts, stream)
    setEach(counts, STREAM_LABELS, set)
  })
  gauge('queue_bytes', 'Bytes that wait in the server', ['kind'], (set) => {
    set({ kind: 'spliced' }, relay.clientTable.spliced.bytes)
    set({ kind: 'received' }, relay.clientTable.received.bytes)
    set({ kind: 'replay' }, relay.clientTable.replayBytes)
  })
  gauge('quotas', 'Quotas of tokens by how much of them is used', ['state'], (set) => {
    const counts = { ok: 0, warning: 0, used_up: 0 }
    for (const quota of relay.quotas()) counts[quotaLevel(quota)] += 1
    setEach(counts, ['state'], set)
  })
  gauge('quota_used_max_ratio', 'Used part of the quota that is used most', [], (set) => {
    let most = 0
    for (const { used, quota } of relay.quotas()) most = Math.max(most, used / quota.bytes)
    set({}, most)
  })
  gauge('alarms', 'Alarms that are on', [], (set) => set({}, relay.alarms.active.length))
  gauge('event_streams', 'Readers of the events', [], (set) => set({}, eventReaders()))
}

/** What only grows. */
function registerTotals(prom: PromClient, registers: Registry[], { relay, attempts }: MetricsOptions): void {
  const counter = (name: string, help: string, labelNames: string[], read: (set: SetValue) => void): void => {
    new prom.Counter({
      name: `linksocks_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        read((labels, value) => this.inc(labels, value))
      },
    })
  }
  const perRole = (name: string, help: string, read: () => Readonly<Record<string, number>>): void =>
    counter(name, help, ['role'], (set) => {
      for (const [role, value] of Object.entries(read())) set({ role }, value)
    })
  const totals = (): Pick<Statistics, 'receivedBytes' | 'sentBytes'> =>
    totalsOf(relay.clientTable.all, relay.statistics)
  perRole('sessions_opened_total', 'Sessions since the start', () => relay.statistics.sessionsOpened)
  perRole(
    'sessions_resumed_total',
    'Sessions that went on with another WebSocket',
    () => relay.statistics.sessionsResumed,
  )
  perRole('received_bytes_total', 'Bytes of messages from clients', () => totals().receivedBytes)
  perRole('sent_bytes_total', 'Bytes of messages to clients', () => totals().sentBytes)
  counter('channels_opened_total', 'Streams that were answered', STREAM_LABELS, (set) =>
    setEach(relay.statistics.channelsOpened, STREAM_LABELS, set),
  )
  counter('policy_refusals_total', 'What policies of tokens refused', ['reason'], (set) =>
    setEach(relay.statistics.policyRefusals, ['reason'], set),
  )
  counter('throttled_bytes_total', 'Bytes that had to wait for the rates of tokens', ['direction'], (set) =>
    setEach(relay.statistics.throttledBytes, ['direction'], set),
  )
  counter('throttled_datagrams_total', 'Datagrams dropped over the rates or quotas of tokens', [], (set) =>
    set({}, relay.statistics.throttledDatagrams),
  )
  counter('authentication_failures_total', 'Wrong tokens, API keys and passwords of proxy ports', ['kind'], (set) => {
    for (const [kind, count] of Object.entries(attempts.counts)) set({ kind }, count)
  })
}

function quotaLevel({ used, usedUp, quota }: QuotaState): 'ok' | 'warning' | 'used_up' {
  if (usedUp) return 'used_up'
  return used >= quota.bytes * QUOTA_WARNING ? 'warning' : 'ok'
}

type SetValue = (labels: Record<string, string>, value: number) => void

/** Of nothing so far: a series that appears late has no beginning. */
function perSessionKind(): Record<ClientInfo['role'], Record<ClientInfo['state'], number>> {
  const none = { connected: 0, suspended: 0 }
  return { forward: { ...none }, provider: { ...none }, connector: { ...none } }
}

/** Counts by the values of one label, or of several, one within the other. */
type Counts = { readonly [value: string]: Counts | number }

/** Sets counts that are kept by these labels, the outermost first. */
function setEach(
  counts: Counts,
  [label = '', ...inner]: readonly string[],
  set: SetValue,
  outer: Readonly<Record<string, string>> = {},
): void {
  for (const [value, each] of Object.entries(counts)) {
    const labels = { ...outer, [label]: value }
    if (typeof each === 'number') set(labels, each)
    else setEach(each, inner, set, labels)
  }
}
