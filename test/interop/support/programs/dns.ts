import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Scene } from '../../../support/e2e/scene.js'
import { readBytes, socksAddress, socksConnect, socksRequest, UDP_ASSOCIATE } from '../../../support/e2e/socks.js'
import { HAS_IPV6, tcpTarget } from '../../../support/e2e/targets.js'
import { within } from '../../../support/wait.js'

/** Name, and the IPv4 addresses it has; a name that is not there has none. */
export type Zone = Readonly<Record<string, readonly string[]>>

export interface DnsAnswer {
  readonly id: number
  /** The name of the question, as it came back. */
  readonly name: string
  readonly rcode: number
  readonly truncated: boolean
  readonly addresses: readonly string[]
  /** Of the whole message. */
  readonly size: number
}

const TYPE_A = 1
const CLASS_IN = 1
const NXDOMAIN = 3
const QUERY_HEADER = 12
const RESPONSE_FLAGS = 0x8180
const TRUNCATED = 0x0200
/** An answer's name: a pointer to the question's (RFC 1035 section 4.1.4). */
const SAME_NAME = 0xc000 | QUERY_HEADER
const RECORD_BYTES = 16
const TTL = 60

const u16 = (...values: readonly number[]): Buffer => Buffer.from(values.flatMap((value) => [value >> 8, value & 255]))

function question(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]))
  return Buffer.concat([...labels, Buffer.of(0), u16(TYPE_A, CLASS_IN)])
}

/** A query for the IPv4 addresses of a name. */
function encodeQuery(id: number, name: string): Buffer {
  return Buffer.concat([u16(id, 0x0100, 1, 0, 0, 0), question(name)])
}

/** The name behind a header, and where it ends. */
function readName(message: Buffer): { name: string; end: number } {
  const labels: string[] = []
  let at = QUERY_HEADER
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.'), end: at + 1 }
}

function encodeAnswer(query: Buffer, zone: Zone, limit: number): Buffer {
  const { name, end } = readName(query)
  // nothing of another type is there, which is no error
  if (query.readUInt16BE(end) !== TYPE_A) {
    return Buffer.concat([
      u16(query.readUInt16BE(0), RESPONSE_FLAGS, 1, 0, 0, 0),
      query.subarray(QUERY_HEADER, end + 4),
    ])
  }
  const addresses = zone[name] ?? []
  const records = addresses.map((address) =>
    Buffer.concat([u16(SAME_NAME, TYPE_A, CLASS_IN, 0, TTL, 4), Buffer.from(address.split('.').map(Number))]),
  )
  const asked = question(name)
  const fits = QUERY_HEADER + asked.length + records.length * RECORD_BYTES <= limit
  const flags = RESPONSE_FLAGS | (addresses.length === 0 ? NXDOMAIN : 0) | (fits ? 0 : TRUNCATED)
  const header = u16(query.readUInt16BE(0), flags, 1, fits ? records.length : 0, 0, 0)
  return Buffer.concat([header, asked, ...(fits ? records : [])])
}

/** @throws what has another form than the answers of `dnsServer` */
function decodeAnswer(message: Buffer): DnsAnswer {
  const [id, flags, , count] = [0, 2, 4, 6].map((at) => message.readUInt16BE(at)) as [number, number, number, number]
  const { name, end } = readName(message)
  const first = end + 4
  if (message.length !== first + count * RECORD_BYTES) throw new Error(`${message.length} bytes for ${count} records`)
  const addresses = Array.from({ length: count }, (_, index) => {
    const next = first + (index + 1) * RECORD_BYTES
    return message.subarray(next - 4, next).join('.')
  })
  return { id, name, rcode: flags & 15, truncated: (flags & TRUNCATED) !== 0, addresses, size: message.length }
}

/** Answers by UDP and by TCP at one port of loopback; by UDP with up to `udpLimit` bytes. */
export async function dnsServer(scene: Scene, zone: Zone, udpLimit: number): Promise<number> {
  const port = await tcpTarget(scene, (socket) => void serveTcp(socket, zone).catch(() => socket.destroy()))
  // whichever family the exit looks the server's name up to
  for (const [type, host] of [['udp4', '127.0.0.1'], ...(HAS_IPV6 ? ([['udp6', '::1']] as const) : [])] as const) {
    const udp = createSocket(type)
    udp.on('message', (query, from) => udp.send(encodeAnswer(query, zone, udpLimit), from.port, from.address))
    udp.bind(port, host)
    await once(udp, 'listening')
    scene.own(() => udp.close())
  }
  return port
}

async function serveTcp(socket: Socket, zone: Zone): Promise<void> {
  for (;;) {
    const answer = encodeAnswer(await readFramed(socket), zone, 65_535)
    socket.write(Buffer.concat([u16(answer.length), answer]))
  }
}

/** One message of a TCP connection (RFC 1035 section 4.2.2). */
async function readFramed(socket: Socket): Promise<Buffer> {
  return await readBytes(socket, (await readBytes(socket, 2)).readUInt16BE(0))
}

/** Asks one server through UDP ASSOCIATE. */
export class UdpResolver {
  readonly #socket: UdpSocket
  readonly #relayPort: number
  readonly #server: readonly [string, number]
  readonly #waiting = new Map<number, (answer: DnsAnswer) => void>()
  #lastId = 0

  constructor(socket: UdpSocket, relayPort: number, server: readonly [string, number]) {
    this.#socket = socket
    this.#relayPort = relayPort
    this.#server = server
    socket.on('message', (datagram) => {
      // RSV, FRAG, ATYP, and the address that answered: IPv4 or IPv6
      const answer = decodeAnswer(datagram.subarray(datagram[3] === 4 ? 22 : 10))
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
  }

  static async open(scene: Scene, socksPort: number, server: readonly [string, number]): Promise<UdpResolver> {
    const { rep, port } = await socksRequest(scene, socksPort, UDP_ASSOCIATE, ['0.0.0.0', 0])
    if (rep !== 0) throw new Error(`SOCKS reply ${rep}`)
    const socket = createSocket('udp4')
    scene.own(() => socket.close())
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    return new UdpResolver(socket, port, server)
  }

  async resolve(name: string): Promise<DnsAnswer> {
    this.#lastId += 1
    const id = this.#lastId
    const header = Buffer.concat([Buffer.of(0, 0, 0), socksAddress(...this.#server)])
    this.#socket.send(Buffer.concat([header, encodeQuery(id, name)]), this.#relayPort, '127.0.0.1')
    return await within(new Promise<DnsAnswer>((resolve) => this.#waiting.set(id, resolve)), `answer for ${name}`)
  }
}

/** Asks for some names, one behind the other without waiting, on one TCP connection. */
export async function resolveByTcp(
  scene: Scene,
  socksPort: number,
  server: readonly [string, number],
  names: readonly string[],
): Promise<readonly DnsAnswer[]> {
  const socket = await socksConnect(scene, socksPort, server)
  for (const [id, name] of names.entries()) {
    const query = encodeQuery(id, name)
    socket.write(Buffer.concat([u16(query.length), query]))
  }
  const answers: DnsAnswer[] = []
  while (answers.length < names.length) answers.push(decodeAnswer(await readFramed(socket)))
  socket.end()
  return answers
}
