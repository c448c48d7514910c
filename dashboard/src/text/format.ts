/** Numbers, times and sizes as people read them. */
import type { AccessRule, ProxyProtocol, Stream } from '../api/types.js'

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** Three digits at most: `0 B`, `999 B`, `1.50 kB`, `12.3 MB`, `123 GB`. */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

/** The same without zeros that say nothing: `12 GB`, `1.5 kB`. */
export function shortBytes(count: number): string {
  return bytes(count).replace(/\.0+(?= )|(\.\d*?)0+(?= )/, '$1')
}

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, p: 1e15 }
const POWERS = ['', 'k', 'm', 'g', 't', 'p']

/**
 * An amount of bytes as people write it: `500`, `64k`, `1.5G`, `10 MB`, and `64Ki` for multiples of 1,024.
 * @returns `undefined` when it is none, or not a whole number of bytes from 1
 */
export function parseAmount(text: string): number | undefined {
  const [, digits, prefix = '', binary] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(i?)b?$/i.exec(text.trim()) ?? []
  if (digits === undefined || (binary !== '' && prefix === '')) return undefined
  const unit = prefix.toLowerCase()
  const value = Number(digits) * (binary === '' ? (FACTORS[unit] ?? 1) : 1_024 ** POWERS.indexOf(unit))
  const whole = Math.round(value)
  // a decimal fraction is not exact in binary
  const exact = Math.abs(whole - value) <= whole * 1e-12
  return exact && whole >= 1 && Number.isSafeInteger(whole) ? whole : undefined
}

/** An amount as {@link parseAmount} reads it, never rounded: `10M`, `1.25G`, `65536`. */
export function amountText(count: number): string {
  for (const unit of ['P', 'T', 'G', 'M', 'k']) {
    const hundredth = (FACTORS[unit.toLowerCase()] ?? 1) / 100
    if (count >= hundredth * 100 && count % hundredth === 0) return `${count / hundredth / 100}${unit}`
  }
  return String(count)
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`
}

/** `4 s`, `3:07`, `2:03:04`, `5 d 01:02`: never wider than it has to be. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000))
  const two = (value: number): string => String(value).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  if (seconds < 60) return `${seconds} s`
  if (hours < 1) return `${minutes}:${two(seconds % 60)}`
  if (hours < 24) return `${hours}:${two(minutes % 60)}:${two(seconds % 60)}`
  return `${Math.floor(hours / 24)} d ${two(hours % 24)}:${two(minutes % 60)}`
}

export function milliseconds(value: number | null): string {
  if (value === null) return '–'
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`
}

/** Local date and time, to the minute. */
export function moment(time: string, language: string): string {
  return new Date(time).toLocaleString(language, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  })
}

export function clockTime(time: string, language: string): string {
  return new Date(time).toLocaleTimeString(language, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
}

/** The first four characters of a secret, as the relay masks it for keys that may only read. */
export function masked(secret: string): string {
  if (/^.{0,4}…$/u.test(secret)) return secret
  const characters = [...secret]
  return `${characters.slice(0, characters.length < 8 ? Math.floor(characters.length / 2) : 4).join('')}…`
}

/** Value of a `datetime-local` input: local time to the minute. */
export function toLocalInput(time: string | null): string {
  if (time === null) return ''
  const date = new Date(time)
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

/** What a `datetime-local` input stands for, in UTC; null when it is empty. */
export function fromLocalInput(value: string): string | null {
  return value === '' ? null : new Date(value).toISOString()
}

/**
 * Access rules as people write them, `10.0.0.0/8:443 192.168.1.1-255:8000-8999`; the relay judges the addresses.
 * @returns `undefined` when one of them is no `ADDR:PORT`
 */
export function parseRules(text: string): readonly AccessRule[] | undefined {
  const rules = text
    .split(/[\s,;]+/)
    .filter((part) => part !== '')
    .map((part): AccessRule | undefined => {
      const [, address, low, high] = /^(.+):(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? []
      if (address === undefined) return undefined
      return { addrs: [address], ports: [high === undefined ? Number(low) : [Number(low), Number(high)]] }
    })
  return rules.every((rule) => rule !== undefined) ? rules : undefined
}

/** One access rule as {@link parseRules} reads it, `*` for any address or port. */
export function ruleText({ addrs, ports }: AccessRule): string {
  const numbers = ports.map((port) => (typeof port === 'number' ? String(port) : port.join('-')))
  return `${addrs.join(', ') || '*'} : ${numbers.join(', ') || '*'}`
}

/** `TCP · HTTP`: what a stream is, and by what it came where that is known. */
export function streamProtocol({ protocol, inbound }: Pick<Stream, 'protocol' | 'inbound'>): string {
  return [protocol, ...(inbound === null ? [] : [inbound])].join(' · ').toUpperCase()
}

/** `SOCKS5, HTTP` */
export function protocolNames(protocols: readonly ProxyProtocol[]): string {
  return protocols.join(', ').toUpperCase()
}
