import { type ProxyUrl, parseProxyUrl } from '../../../src/exit/proxy/proxy-url.js'
import type { AbortOptions, ByteStream, Dialer, Target } from '../../../src/ports.js'
import { ManualClock } from '../../support/manual-clock.js'
import { type MemoryStream, type MemoryStreamOptions, memoryStreamPair, TestPeer } from '../../support/memory-stream.js'

/** A proxy whose side of each connection the test plays. */
export class FakeProxy implements Dialer {
  readonly clock = new ManualClock()
  readonly url: ProxyUrl
  readonly dialled: Target[] = []
  readonly streams: MemoryStream[] = []
  readonly peers: TestPeer[] = []
  /** Fails every dial while set. */
  failure: Error | undefined
  readonly #options: MemoryStreamOptions

  constructor(url: string, options: MemoryStreamOptions = {}) {
    this.url = parseProxyUrl(url)
    this.#options = options
  }

  async dial(target: Target, { signal }: AbortOptions = {}): Promise<ByteStream> {
    signal?.throwIfAborted()
    this.dialled.push(target)
    if (this.failure !== undefined) throw this.failure
    const [near, far] = memoryStreamPair(this.#options)
    this.streams.push(near)
    this.peers.push(new TestPeer(far))
    return near
  }

  async associate(): Promise<never> {
    throw new Error('not used')
  }

  /** The proxy's side of connection `index`. */
  peer(index = 0): TestPeer {
    const peer = this.peers[index]
    if (peer === undefined) throw new Error(`only ${this.peers.length} connections`)
    return peer
  }
}
