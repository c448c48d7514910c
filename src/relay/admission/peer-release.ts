import { encodeLog, type Message, MessageType } from '../../protocol/messages.js'

/** The first release that spreads the messages of one channel over all links of its process: 1.10.2. */
const FIRST_TO_SPREAD = [1, 10, 2] as const
/** Longest answer that is looked at, in characters. */
const MAX_ANSWER_CHARS = 100

const ANSWERS = 'pong:'
const RELEASE = /"version":"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})"/

/** Asks a client for its release; those before 1.10 ignore it (docs/protocol.md A.3). */
export function askForRelease(): Uint8Array {
  return encodeLog({ level: 'trace', message: 'probe:release' })
}

/** Whether a client keeps each channel on one link, by what it says; `undefined` for a message that is no answer. */
export function saysItKeepsChannels(message: Message): boolean | undefined {
  if (message.type !== MessageType.Log || message.level !== 'trace' || !message.message.startsWith(ANSWERS))
    return undefined
  if (message.message.length > MAX_ANSWER_CHARS) return false
  const numbers = RELEASE.exec(message.message)?.slice(1).map(Number)
  if (numbers === undefined) return false
  for (const [place, first] of FIRST_TO_SPREAD.entries()) {
    const number = numbers[place] ?? 0
    if (number !== first) return number < first
  }
  return false
}
