import type { EgressRule } from '../../src/policy-fields.js'

/** What a rule may have here: names, networks and single addresses of IPv4 as text. */
export interface Asked {
  /** A name, or IP text. */
  readonly host: string
  readonly port: number
  readonly protocol: 'tcp' | 'udp'
}

type Finding = 'allow' | 'deny' | undefined

/** Judges slowly and in as few words as the rules are written in; knows IPv4 alone. */
export function oracle(
  rules: readonly EgressRule[],
  egressDefault: 'allow' | 'deny' | undefined,
  asked: Asked,
  address: string,
): boolean {
  const byName = isIp(asked.host) ? undefined : find(rules, asked, (host) => nameFits(host, asked.host))
  const byAddress = find(rules, asked, (host) => addressFits(host, address))
  if (byName === 'deny' || byAddress === 'deny') return false
  if (byName === 'allow' || byAddress === 'allow') return true
  if (egressDefault !== undefined) return egressDefault === 'allow'
  return rules.every(({ action }) => action === 'deny')
}

function find(rules: readonly EgressRule[], { port, protocol }: Asked, fits: (host: string) => boolean): Finding {
  for (const rule of rules) {
    if (rule.protocol !== undefined && rule.protocol !== protocol) continue
    const { ports = [], hosts = [] } = rule
    const portFits = ports.some((one) => (typeof one === 'number' ? one === port : one[0] <= port && port <= one[1]))
    if (ports.length > 0 && !portFits) continue
    if (hosts.length === 0 || hosts.some(fits)) return rule.action
  }
  return undefined
}

const isIp = (text: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(text)

function nameFits(host: string, name: string): boolean {
  const [a, b] = [host.toLowerCase(), name.toLowerCase().replace(/\.$/, '')]
  return a.startsWith('*.') ? b.endsWith(a.slice(1)) : !isIp(a) && !a.includes('/') && a === b
}

function addressFits(host: string, address: string): boolean {
  const [network = '', bits] = host.split('/')
  if (!isIp(network)) return false
  const shift = 2 ** (32 - Number(bits ?? 32))
  return Math.floor(numberOf(network) / shift) === Math.floor(numberOf(address) / shift)
}

const numberOf = (ip: string): number => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
