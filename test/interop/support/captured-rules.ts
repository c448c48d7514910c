import type { CapturedLink, CapturedMessage, End } from './capture.js'
import { type Reading, readPartA } from './frames/part-a.js'

/** What ours sends to a peer of the base protocol, by the end of the link it has. */
const SENT: Readonly<Record<End, readonly string[]>> = {
  client: ['Auth', 'Connect', 'Data', 'ConnectResponse', 'Disconnect', 'Connector'],
  server: ['AuthResponse', 'Connect', 'Data', 'ConnectResponse', 'Disconnect', 'ConnectorResponse', 'Partners'],
}
const PARAMETERS = ['token', 'reverse', 'instance', 'ext', 'resume', 'policy']
/** Tag of the trailer that only an offer in the Connect allows. */
const STREAM_CONTROL = 0x01
/** Enough of a message to find it by. */
const SHOWN_BYTES = 48

/** Names of what one end sent, in order. */
export function namesOf(link: CapturedLink, from: End): readonly string[] {
  return link.of(from).map(({ bytes }) => readPartA(bytes).name)
}

/** Everything that our end of a link sent and that the base protocol has no place for; one line each. */
export function faultsOf(link: CapturedLink, ours: End): readonly string[] {
  return [...handshakeFaults(link, ours), ...messageFaults(link, ours)]
}

function handshakeFaults({ target, request, answer }: CapturedLink, ours: End): readonly string[] {
  const header = ours === 'client' ? request : answer
  const named = ['sec-websocket-extensions', 'sec-websocket-protocol'].filter((name) => header[name] !== undefined)
  const unknown = ours === 'client' ? [...target.searchParams.keys()].filter((name) => !PARAMETERS.includes(name)) : []
  return [...named.map((name) => `handshake: ${name}`), ...unknown.map((name) => `URL parameter ${name}`)]
}

function messageFaults(link: CapturedLink, ours: End): readonly string[] {
  const faults: string[] = []
  const state = new LinkState(link)
  for (const message of link.messages) {
    const reading = readPartA(message.bytes)
    const found = message.from === ours ? [...reading.outside, ...state.judge(message, reading, ours)] : []
    const shown = message.bytes.subarray(0, SHOWN_BYTES).toString('hex')
    faults.push(...found.map((why) => `${reading.name}: ${why}: ${shown}`))
    state.passed(message, reading)
  }
  return faults
}

/** What the messages so far allow. */
class LinkState {
  readonly #inBand: boolean
  #asked: boolean
  #started = false
  #answered = false
  /** Channels whose Connect carried a trailer. */
  readonly #extended = new Set<string>()

  constructor(link: CapturedLink) {
    this.#inBand = link.auth !== undefined
    this.#asked = link.target.searchParams.get('ext') === '1'
  }

  judge({ binary }: CapturedMessage, { name, channel = '', trailer }: Reading, ours: End): readonly string[] {
    const faults: string[] = []
    if (!binary) faults.push('is a text message')
    if (!SENT[ours].includes(name)) faults.push(`is never sent by a ${ours}`)
    if (ours === 'server' && !this.#answered && name !== 'AuthResponse') faults.push('comes before AuthResponse')
    if (ours === 'client') {
      const isFirst = this.#inBand && !this.#started
      if ((name === 'Auth') !== isFirst) faults.push(isFirst ? 'comes instead of Auth' : 'is not expected')
      if (!this.#answered && !isFirst) faults.push('comes before the answer to the authentication')
    }
    if (trailer === undefined) return faults
    if (name === 'AuthResponse' && !this.#asked) faults.push('has a trailer that nobody asked for')
    if (name === 'ConnectResponse' && trailer.includes(STREAM_CONTROL) && !this.#extended.has(channel)) {
      faults.push('grants stream control that nobody offered')
    }
    return faults
  }

  passed({ from }: CapturedMessage, { name, channel = '', trailer }: Reading): void {
    if (from === 'client') this.#started = true
    if (name === 'AuthResponse') this.#answered = true
    if (trailer === undefined) return
    if (name === 'Auth') this.#asked = true
    if (name === 'Connect') this.#extended.add(channel)
  }
}
