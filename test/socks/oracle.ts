/*
 * SOCKS5 written down the slow way, one array of numbers per message, to judge the real codec by. Shares no code with it.
 */

export type OracleAddress =
  | { readonly kind: 'ipv4'; readonly bytes: readonly number[] }
  | { readonly kind: 'ipv6'; readonly bytes: readonly number[] }
  | { readonly kind: 'domain'; readonly name: string }

/** ATYP ADDR PORT. */
export function addressBytes(address: OracleAddress, port: number): number[] {
  const portBytes = [Math.floor(port / 256), port % 256]
  if (address.kind === 'ipv4') return [1, ...address.bytes, ...portBytes]
  if (address.kind === 'ipv6') return [4, ...address.bytes, ...portBytes]
  const name = [...Buffer.from(address.name, 'utf8')]
  return [3, name.length, ...name, ...portBytes]
}

/** The host text LinkSocks gives an address. */
export function hostText(address: OracleAddress): string {
  if (address.kind === 'domain') return address.name
  if (address.kind === 'ipv4') return address.bytes.map(String).join('.')
  return ipv6Text(address.bytes)
}

/** RFC 5952 section 4 rule by rule, and section 5 for IPv4-mapped addresses. */
function ipv6Text(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0))
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.slice(12).join('.')}`
  }
  const texts = groups.map((group) => group.toString(16)) // 4.1, 4.3: no leading zeros, lower case
  for (let length = 8; length >= 2; length--) {
    // 4.2.1 to 4.2.3: the longest run of at least two, the first of these
    for (let start = 0; start + length <= 8; start++) {
      if (groups.slice(start, start + length).every((group) => group === 0)) {
        return `${texts.slice(0, start).join(':')}::${texts.slice(start + length).join(':')}`
      }
    }
  }
  return texts.join(':')
}
