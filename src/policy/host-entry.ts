import { parseIp } from '../address.js'
import { remoteText } from '../log.js'
import { filledRange, MAX_SHOWN, type Range } from './address-range.js'

/** What stands in `hosts` of a rule. */
export type HostEntry =
  | { readonly kind: 'addresses'; readonly range: Range<bigint> }
  | { readonly kind: 'name'; readonly name: string }
  /** `*.suffix`: all names below it, and not itself. */
  | { readonly kind: 'below'; readonly suffix: string }

/** Longest name, RFC 1035 section 2.3.4 in text. */
const MAX_NAME_LENGTH = 253

/** Lists by their names: networks, and names of services that are reached at one of them. */
const LISTS: Readonly<Record<string, readonly string[]>> = {
  // RFC 1918, 6598, 3927, 4193 and 4291
  '@private': [
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '100.64.0.0/10',
    '169.254.0.0/16',
    'fc00::/7',
    'fe80::/10',
  ],
  // what leads to the exit itself: RFC 1122 section 3.2.1.3, RFC 4291 and 6761
  '@loopback': ['127.0.0.0/8', '0.0.0.0/8', '::1', '::', 'localhost', '*.localhost'],
  // where clouds tell a machine its secrets
  '@metadata': [
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'metadata.google.internal',
    'metadata',
  ],
}

/** The names of the lists. */
export const HOST_LISTS: readonly string[] = Object.keys(LISTS)

/** Reads one entry, a list as all that is in it. @returns why not, as a text that repeats the entry */
export function hostEntries(text: string): readonly HostEntry[] | string {
  if (!text.startsWith('@')) {
    const entry = hostEntry(text)
    return typeof entry === 'string' ? entry : [entry]
  }
  return ENTRIES.get(text) ?? `there is no list ${shown(text)}: there are ${HOST_LISTS.join(', ')}`
}

function hostEntry(text: string): HostEntry | string {
  if (looksLikeAddress(text)) {
    const range = filledRange(text)
    return typeof range === 'string' ? range : { kind: 'addresses', range }
  }
  const below = text.startsWith('*.')
  const name = canonicalName(below ? text.slice(2) : text)
  if (!isName(name)) return `${shown(text)} is no address, name, *.suffix or list`
  return below ? { kind: 'below', suffix: name } : { kind: 'name', name }
}

function looksLikeAddress(text: string): boolean {
  if (text.includes('/') || text.includes(':')) return true
  const [first = ''] = text.split('-')
  // a name never ends in a number: what does is a mistyped address
  return parseIp(first) !== undefined || /(^|\.)\d+\.?$/.test(text)
}

function isName(name: string): boolean {
  if (name.length === 0 || name.length > MAX_NAME_LENGTH) return false
  return name.split('.').every((label) => /^[\p{L}\p{N}\p{M}_-]{1,63}$/u.test(label))
}

/** Beyond ASCII a name has many spellings. */
const ASCII = /^[\0-\x7f]*$/
const IN_NO_HOST = /[\0-\x20"#%/:<>?@[\\\]^`{|}\x7f]/

/** Read once: a policy may name them in each of its rules. */
const ENTRIES: ReadonlyMap<string, readonly HostEntry[]> = new Map(
  Object.entries(LISTS).map(([name, list]) => [name, list.map((text) => hostEntry(text) as HostEntry)]),
)

/** The one spelling of a name: lower case, without the final dot, and in ASCII (RFC 5890) if it can be. */
export function canonicalName(name: string): string {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  // of `a.example#.b.example` a URL has the first half as its host, and a resolver asks for the whole
  if (ASCII.test(bare) || IN_NO_HOST.test(bare)) return bare.toLowerCase()
  try {
    return new URL(`http://${bare}`).hostname.replace(/\.$/, '')
  } catch {
    return bare.toLowerCase()
  }
}

function shown(text: string): string {
  return `"${remoteText(text.slice(0, MAX_SHOWN))}"`
}
