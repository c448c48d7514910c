const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** IP text as this program shows it: without a zone, IPv4-mapped IPv6 as IPv4. */
export function plainIp(text: string): string {
  const zone = text.indexOf('%')
  const ip = zone === -1 ? text : text.slice(0, zone)
  return MAPPED_IPV4.exec(ip)?.[1] ?? ip
}

/** The system's code of an error (`ECONNREFUSED`), or an empty text. */
export function errorCode(thrown: unknown): string {
  if (!(thrown instanceof Error) || !('code' in thrown)) return ''
  return typeof thrown.code === 'string' ? thrown.code : ''
}
