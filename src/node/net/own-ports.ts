import { url as inspectorUrl } from 'node:inspector'
import type { Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { canonicalIp, isLoopback, socketIp } from '../../address.js'
import type { EgressPolicy, SocketAddress } from '../../ports.js'

const UNSPECIFIED = ['0.0.0.0', '::']

/** TCP ports that this process listens on for LinkSocks, with how many servers have each. */
const ports = new Map<number, number>()

/** `server`, which listens on `port`, is one of LinkSocks until it closes. */
export function ownPort(server: Server, port: number): void {
  ports.set(port, (ports.get(port) ?? 0) + 1)
  server.once('close', () => {
    const left = (ports.get(port) ?? 1) - 1
    if (left === 0) ports.delete(port)
    else ports.set(port, left)
  })
}

/** Whether an address leads to what this process listens on for itself: its HTTP, SOCKS and metrics ports, and Node's inspector. */
function isOwn({ host, port }: SocketAddress): boolean {
  return (ports.has(port) || port === inspectorPort()) && isHere(host)
}

function inspectorPort(): number | undefined {
  const url = inspectorUrl()
  return url === undefined ? undefined : Number(new URL(url).port)
}

function isHere(host: string): boolean {
  // a zone changes nothing about the machine
  const ip = canonicalIp(host.replace(/%.*$/, ''))
  if (ip === undefined) return false
  return isLoopback(ip) || UNSPECIFIED.includes(ip) || ownAddresses().includes(ip)
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address }) => canonicalIp(socketIp(address)) ?? address),
  )
}

/** `policy`, and no way to the ports of LinkSocks itself: what listens on loopback alone is not for users of the tunnel. */
export function exceptOwnPorts(policy: EgressPolicy): EgressPolicy {
  return (address, protocol) =>
    protocol === 'tcp' && isOwn(address) ? 'a port of LinkSocks itself (--allow-own-ports)' : policy(address, protocol)
}
