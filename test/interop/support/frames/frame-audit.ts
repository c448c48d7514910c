import { closeCode, type Frame, OPCODE } from './ws-frames.js'

/** Close codes that may stand in a frame (RFC 6455 section 7.4, and those registered since). */
const mayBeSent = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)

/** Watches what one end of a WebSocket sends, and notes all that RFC 6455 forbids. */
export class FrameAudit {
  readonly violations: string[] = []
  frames = 0
  /** Frames of messages that came in several, the first included. */
  fragments = 0
  readonly masks = new Set<number>()
  readonly #client: boolean
  #inMessage = false
  #closed = false

  constructor(sender: 'client' | 'server') {
    this.#client = sender === 'client'
  }

  see(frame: Frame): void {
    this.frames += 1
    if (frame.mask !== undefined) this.masks.add(frame.mask.readUInt32BE(0))
    const { opcode, rsv, payload, lengthBytes } = frame
    const problems = [
      this.#closed && 'a frame behind the close frame (5.5.1)',
      this.#client !== (frame.mask !== undefined) &&
        `a ${this.#client ? 'client frame without' : 'server frame with'} mask`,
      rsv !== 0 && `reserved bits ${rsv} (5.2)`,
      lengthBytes !== shortest(payload.length) && `${payload.length} bytes in a length field of ${lengthBytes} (5.2)`,
      ...(opcode >= OPCODE.close ? controlProblems(frame) : this.#dataProblems(frame)),
    ]
    for (const problem of problems) if (problem !== false) this.violations.push(`opcode ${opcode}: ${problem}`)
    if (opcode === OPCODE.close) this.#closed = true
  }

  #dataProblems({ opcode, fin }: Frame): readonly (string | false)[] {
    const continues = opcode === OPCODE.continuation
    const wrong = continues !== this.#inMessage
    if (continues || !fin) this.fragments += 1
    this.#inMessage = !fin
    return [
      opcode > OPCODE.binary && 'a reserved opcode',
      opcode === OPCODE.text && 'text, where all messages are binary',
      wrong && (continues ? 'a continuation of nothing (5.4)' : 'a message inside another one (5.4)'),
    ]
  }
}

function controlProblems(frame: Frame): readonly (string | false)[] {
  const { opcode, fin, payload } = frame
  const close = opcode === OPCODE.close
  return [
    opcode > OPCODE.pong && 'a reserved opcode',
    !fin && 'a control frame in parts (5.4)',
    payload.length > 125 && `a control frame of ${payload.length} bytes (5.5)`,
    close && payload.length === 1 && 'half a close code (5.5.1)',
    close && payload.length > 1 && !mayBeSent(closeCode(frame)) && `close code ${closeCode(frame)} (7.4)`,
    close && !isUtf8(payload.subarray(2)) && 'a close reason that is not UTF-8 (5.5.1)',
  ]
}

function shortest(length: number): number {
  return length < 126 ? 1 : length <= 0xffff ? 3 : 9
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}
