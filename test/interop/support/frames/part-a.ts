/** Whether `value` stands where part A of the protocol has it; a strict reader with nothing of the real codec. */
type Check = (value: number) => boolean

/** What may stand behind the fields of a message. */
type Tail = 'nothing' | 'text' | 'trailer'

/** One message, read by the tables of docs/protocol.md A.3 and B.1. */
export interface Reading {
  /** Its type by name, or in hex. */
  readonly name: string
  /** ChannelID, in hex. */
  readonly channel?: string
  /** Tags of the trailer, in order. */
  readonly trailer?: readonly number[]
  /** Everything that a peer of the base protocol could stumble over. */
  readonly outside: readonly string[]
}

const NAMES = new Map([
  [0x01, 'Auth'],
  [0x02, 'AuthResponse'],
  [0x03, 'Connect'],
  [0x04, 'Data'],
  [0x05, 'ConnectResponse'],
  [0x06, 'Disconnect'],
  [0x07, 'Connector'],
  [0x08, 'ConnectorResponse'],
  [0x09, 'Log'],
  [0x0a, 'Partners'],
  [0x0b, 'DirectCapabilities'],
  [0x0c, 'DirectRendezvous'],
  [0x0d, 'DirectStatus'],
])
/** Tag, the messages it belongs to, and the length of its value. */
const TAGS: readonly (readonly [number, readonly string[], number])[] = [
  [0x01, ['Connect', 'ConnectResponse'], 4],
  [0x02, ['ConnectResponse'], 1],
  [0x10, ['Auth', 'AuthResponse'], 16],
  [0x13, ['Auth'], 0],
  [0x11, ['AuthResponse'], 0],
]
const UDP = 2

const oneOf =
  (...values: readonly number[]): Check =>
  (value) =>
    values.includes(value)
const FLAG = oneOf(0, 1)

class Cut extends Error {}

/** Walks through one message and notes what should not be there. */
class Walk {
  readonly outside: string[] = []
  channel: string | undefined
  trailer: readonly number[] | undefined
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(field: string, length: number): Buffer {
    if (this.left < length) throw new Cut(`ends inside ${field}`)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  byte(field: string, check: Check = () => true): number {
    const value = this.take(field, 1).readUInt8()
    if (!check(value)) this.outside.push(`${field} is 0x${value.toString(16).padStart(2, '0')}`)
    return value
  }

  text(field: string): void {
    const bytes = this.take(field, this.byte(`the length of ${field}`))
    if (!Buffer.from(bytes.toString('utf8')).equals(bytes)) this.outside.push(`${field} is not UTF-8`)
  }

  target(field: string): void {
    this.text(field)
    this.take(`the port of ${field}`, 2)
  }

  id(): void {
    this.channel = this.take('ChannelID', 16).toString('hex')
  }

  block(field: string): Buffer {
    return this.take(field, this.take(`the length of ${field}`, 4).readUInt32BE())
  }

  /** What stands behind the fields of the message `name`. */
  end(name: string, tail: Tail): void {
    if (this.left === 0) return
    if (tail === 'text') this.text('the optional text')
    else if (tail === 'trailer' && this.#bytes.subarray(this.#at, this.#at + 2).toString() === 'LX') this.#tags(name)
    if (this.left > 0) this.outside.push(`${this.left} bytes behind the fields`)
  }

  #tags(name: string): void {
    this.take('the mark', 2)
    const seen: number[] = []
    while (this.left > 0) {
      const tag = this.byte('a tag')
      const { length } = this.take('the value of a tag', this.byte('the length of a tag'))
      seen.push(tag)
      if (!TAGS.some(([known, names, size]) => known === tag && names.includes(name) && size === length)) {
        this.outside.push(`tag 0x${tag.toString(16)} of ${length} bytes in the trailer of ${name}`)
      }
    }
    this.trailer = seen
  }
}

/** Reads one message to its last byte. */
export function readPartA(message: Uint8Array): Reading {
  const walk = new Walk(Buffer.from(message))
  let name = 'nothing'
  try {
    walk.byte('Version', oneOf(0x01))
    const type = walk.byte('Type', (value) => NAMES.has(value))
    name = NAMES.get(type) ?? `0x${type.toString(16).padStart(2, '0')}`
    if (NAMES.has(type)) readBody(name, walk)
  } catch (thrown) {
    if (!(thrown instanceof Cut)) throw thrown
    walk.outside.push(thrown.message)
  }
  const { channel, trailer, outside } = walk
  return { name, outside, ...(channel !== undefined && { channel }), ...(trailer !== undefined && { trailer }) }
}

function readBody(name: string, walk: Walk): void {
  switch (name) {
    case 'Auth':
      walk.text('Token')
      walk.byte('Reverse', FLAG)
      walk.take('Instance', 16)
      return walk.end(name, 'trailer')
    case 'AuthResponse':
      if (walk.byte('Success', FLAG) === 1) {
        // a trailer stands behind the Token, which is written even if it is empty
        if (walk.left > 0) walk.text('Token')
        return walk.end(name, 'trailer')
      }
      walk.text('Error')
      return walk.end(name, 'nothing')
    case 'Connect': {
      const protocol = walk.byte('Protocol', oneOf(1, UDP))
      walk.id()
      if (protocol !== UDP) walk.target('Address')
      // programs since 1.10 read what follows as "resume a channel of a lost link"
      if (walk.left > 0) walk.byte('Resume', oneOf(0))
      return walk.end(name, 'trailer')
    }
    case 'Data':
      return readData(walk)
    case 'ConnectResponse': {
      const success = walk.byte('Success', FLAG)
      walk.id()
      if (success !== 1) walk.text('Error')
      return walk.end(name, 'trailer')
    }
    case 'Disconnect':
      walk.id()
      return walk.end(name, 'text')
    case 'Connector':
      walk.id()
      walk.text('ConnectorToken')
      walk.byte('Operation', oneOf(1, 2))
      return walk.end(name, 'nothing')
    case 'ConnectorResponse': {
      walk.id()
      const success = walk.byte('Success', FLAG)
      if (success !== 1) walk.text('Error')
      return walk.end(name, success === 1 ? 'text' : 'nothing')
    }
    default:
      JSON.parse(walk.block('JSON').toString())
      return walk.end(name, 'nothing')
  }
}

function readData(walk: Walk): void {
  const protocol = walk.byte('Protocol', oneOf(1, UDP))
  walk.id()
  walk.byte('Compression', oneOf(0, 1))
  walk.block('Data')
  if (protocol === UDP) {
    walk.target('Address')
    walk.target('TargetAddress')
  }
  walk.end('Data', 'nothing')
}
