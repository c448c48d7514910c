/**
 * Rules of policies to measure with, as the API takes them. None speaks of what {@link UNKNOWN} holds, nor of an address of loopback.
 *
 * @typedef {object} Rule
 * @property {'allow' | 'deny'} action
 * @property {string[]} hosts
 * @property {(number | [number, number])[]} [ports]
 * @property {'tcp' | 'udp'} [protocol]
 */

/** As many as a policy may have. */
export const MOST_RULES = 1_000
/** Of rules that have one of their own: below those of loopback that the benchmark uses. */
export const FIRST_PORT = 2_000

/** Destinations that no rule speaks of. The IPv6 address stands for one of IPv4 and is judged as both. */
export const UNKNOWN = {
  name: 'www.cdn.some.deep.name.another.example',
  ipv4: '203.0.113.9',
  ipv6: '64:ff9b::203.0.113.9',
}

/**
 * What a mixed list has in turn.
 *
 * @type {readonly ((n: number) => Rule)[]}
 */
const KINDS = [
  (n) => ({ action: 'deny', hosts: [`host-${n}.corp.example`, `alias-${n}.corp.example`] }),
  (n) => ({ action: 'allow', hosts: [`*.zone-${n}.example`], ports: [443, [8_000, 8_999]] }),
  (n) => ({ action: 'deny', hosts: [`10.${n >> 8}.${n & 0xff}.0/24`] }),
  (n) => ({ action: 'deny', hosts: [`2001:db8:${n.toString(16)}::/48`], protocol: 'tcp' }),
  (n) => ({ action: 'allow', hosts: [`198.18.${n >> 8}.${n & 0xff}-198.19.0.255`], ports: [FIRST_PORT + n] }),
  () => ({ action: 'deny', hosts: ['@private', '@metadata'], protocol: 'udp' }),
]

/**
 * @param {number} count
 * @param {(n: number) => Rule} rule
 */
const rules = (count, rule) => Array.from({ length: count }, (_, n) => rule(n))

export const mixedRules = (/** @type {number} */ count) =>
  rules(count, (n) => /** @type {(n: number) => Rule} */ (KINDS[n % KINDS.length])(n))

export const nameRules = () =>
  rules(MOST_RULES, (n) => ({ action: 'deny', hosts: [`host-${n}.corp.example`, `*.zone-${n}.example`] }))

export const addressRules = () =>
  rules(MOST_RULES, (n) => ({
    action: 'deny',
    hosts: [`10.${n >> 8}.${n & 0xff}.0/24`, `2001:db8:${n.toString(16)}::/48`],
  }))

/** Each about a port of its own, from {@link FIRST_PORT} on. */
export const portRules = () =>
  rules(MOST_RULES, (n) => ({ action: 'deny', hosts: ['192.0.2.0/24'], ports: [FIRST_PORT + n] }))
