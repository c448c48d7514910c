/** Reads server-sent events (HTML Standard section 9.2.6) out of text that arrives in any pieces. */

export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/** An event that never ends must not fill the memory. */
const MAX_EVENT_CHARS = 1024 * 1024

export class EventParser {
  readonly #deliver: (event: ServerEvent) => void
  #rest = ''
  #event = ''
  #data: string[] = []
  #chars = 0
  #lastId = ''

  constructor(deliver: (event: ServerEvent) => void) {
    this.#deliver = deliver
  }

  /** The id of the last event that had one. */
  get lastId(): string {
    return this.#lastId
  }

  /** @throws RangeError when an event is longer than a mebi of characters */
  push(text: string): void {
    this.#rest += text
    for (;;) {
      // a CR at the end may be the first half of CRLF
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest)
      if (end === null) break
      const line = this.#rest.slice(0, end.index)
      this.#rest = this.#rest.slice(end.index + end[0].length)
      this.#line(line)
    }
    if (this.#rest.length + this.#chars > MAX_EVENT_CHARS) throw new RangeError('event too long')
  }

  #line(line: string): void {
    if (line === '') return this.#end()
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') this.#event = value
    else if (field === 'id' && !value.includes('\0')) this.#lastId = value
    else if (field === 'data') {
      this.#data.push(value)
      this.#chars += value.length
    }
  }

  #end(): void {
    const event = { event: this.#event || 'message', data: this.#data.join('\n') }
    const any = this.#data.length > 0
    this.#event = ''
    this.#data = []
    this.#chars = 0
    if (any) this.#deliver(event)
  }
}
