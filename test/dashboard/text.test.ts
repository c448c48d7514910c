import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Stats } from '../../dashboard/src/api/types.js'
import { addRates, HISTORY_SECONDS, type History, NO_HISTORY } from '../../dashboard/src/state/history.js'
import { en } from '../../dashboard/src/text/en.js'
import {
  age,
  amountText,
  bytes,
  fromLocalInput,
  masked,
  parseAmount,
  parseRules,
  protocolNames,
  ruleText,
  shortBytes,
  streamProtocol,
  toLocalInput,
} from '../../dashboard/src/text/format.js'
import { zh } from '../../dashboard/src/text/zh.js'

describe('bytes()', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.00 kB'],
    [9_994, '9.99 kB'],
    [9_996, '10.0 kB'],
    [99_960, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [12_345_678_901, '12.3 GB'],
    [9.9e18, '9900 PB'],
  ])('%d: %s', (count, text) => {
    expect(bytes(count)).toBe(text)
  })
})

describe('shortBytes()', () => {
  it.each([
    [0, '0 B'],
    [12_000_000_000, '12 GB'],
    [1_500, '1.5 kB'],
    [120_000_000, '120 MB'],
    [1_230, '1.23 kB'],
  ])('%d: %s', (count, text) => {
    expect(shortBytes(count)).toBe(text)
  })
})

describe('parseAmount()', () => {
  it.each([
    ['1', 1],
    ['500', 500],
    ['10M', 10_000_000],
    [' 10 MB ', 10_000_000],
    ['1.1P', 1_100_000_000_000_000],
    ['64k', 64_000],
    ['64Ki', 65_536],
    ['1.5GiB', 1_610_612_736],
    ['0', undefined],
    ['0.5', undefined],
    ['1.0001k', undefined],
    ['-1', undefined],
    ['1i', undefined],
    ['10 Mbit', undefined],
    ['1,5G', undefined],
    ['1e3', undefined],
    ['9.1P', undefined],
    ['', undefined],
  ])('%j: %j', (text, count) => {
    expect(parseAmount(text)).toBe(count)
  })
})

describe('amountText()', () => {
  it.each([
    [1, '1'],
    [999, '999'],
    [1_000, '1k'],
    [65_536, '65536'],
    [1_250_000, '1.25M'],
    [1_234_567, '1234567'],
    [50_000_000_000, '50G'],
    [9_007_199_254_740_991, '9007199254740991'],
  ])('%d: %s, which is read as the same', (count, text) => {
    expect(amountText(count)).toBe(text)
    expect(parseAmount(text)).toBe(count)
  })
})

describe('parseRules()', () => {
  it.each([
    ['', []],
    ['10.0.0.0/8:443', [{ addrs: ['10.0.0.0/8'], ports: [443] }]],
    [
      ' fe80::/10:22, 192.168.1.1-255:8000-8999 ',
      [
        { addrs: ['fe80::/10'], ports: [22] },
        { addrs: ['192.168.1.1-255'], ports: [[8000, 8999]] },
      ],
    ],
    ['10.0.0.1', undefined],
    ['10.0.0.1:22 x:y', undefined],
  ])('%j: %j', (text, rules) => {
    expect(parseRules(text)).toEqual(rules)
  })
})

describe('ruleText()', () => {
  it.each([
    [{ addrs: ['10.0.0.0/8', '::1'], ports: [22, [80, 90] as const] }, '10.0.0.0/8, ::1 : 22, 80-90'],
    [{ addrs: [], ports: [] }, '* : *'],
  ])('%j: %s', (rule, text) => {
    expect(ruleText(rule)).toBe(text)
  })
})

describe('streamProtocol()', () => {
  it.each([
    ['tcp', null, 'TCP'],
    ['tcp', 'http', 'TCP · HTTP'],
    ['udp', 'socks5', 'UDP · SOCKS5'],
  ] as const)('%s, %s: %s', (protocol, inbound, text) => {
    expect(streamProtocol({ protocol, inbound })).toBe(text)
  })
})

describe('protocolNames()', () => {
  it('lists what a port serves', () => {
    expect([protocolNames(['socks5', 'http']), protocolNames([])]).toEqual(['SOCKS5, HTTP', ''])
  })
})

describe('age()', () => {
  it.each([
    [-1, '0 s'],
    [59_999, '59 s'],
    [60_000, '1:00'],
    [3_599_000, '59:59'],
    [3_600_000, '1:00:00'],
    [86_399_000, '23:59:59'],
    [86_400_000, '1 d 00:00'],
  ])('%d ms: %s', (milliseconds, text) => {
    expect(age(milliseconds)).toBe(text)
  })
})

describe('masked()', () => {
  it.each([
    ['abcdefgh', 'abcd…'],
    ['abcdefg', 'abc…'],
    ['a', '…'],
    ['abcd…', 'abcd…'],
    ['🧦🧦🧦🧦🧦🧦🧦🧦', '🧦🧦🧦🧦…'],
  ])('%s: %s', (token, text) => {
    expect(masked(token)).toBe(text)
  })
})

describe('the expiry field', () => {
  it('takes a time there and back', () => {
    const time = '2026-12-01T10:30:00.000Z'
    expect(fromLocalInput(toLocalInput(time))).toBe(time)
  })

  it('is empty for never', () => {
    expect([toLocalInput(null), fromLocalInput('')]).toEqual(['', null])
  })
})

describe('addRates()', () => {
  const at = (second: number, received: number, sent: number): Stats => ({
    time: new Date(second * 1_000).toISOString(),
    draining: false,
    tokens: 0,
    clients: 0,
    streams: 0,
    received_bytes: received,
    sent_bytes: sent,
    alarms: [],
  })
  const follow = (all: readonly Stats[]): History =>
    all.reduce((history, now, index) => addRates(history, all[index - 1], now), NO_HISTORY)

  it('tells bytes per second out of totals', () => {
    expect(follow([at(10, 100, 0), at(12, 300, 50)])).toEqual({
      times: [10, 12],
      received: [null, 100],
      sent: [null, 25],
    })
  })

  it('has a gap after a restart, a long silence and a clock that stands still', () => {
    expect(follow([at(10, 100, 0), at(11, 0, 0)]).received).toEqual([null, null])
    expect(follow([at(10, 0, 0), at(30, 100, 0)]).received).toEqual([null, null])
    expect(follow([at(10, 0, 0), at(10, 100, 0)]).received).toEqual([null, null])
  })

  it('keeps as much as is drawn', () => {
    const all = Array.from({ length: HISTORY_SECONDS * 2 }, (_, second) => at(second, second, 0))
    const { times, received, sent } = follow(all)
    expect([times.length, received.length, sent.length]).toEqual(Array(3).fill(HISTORY_SECONDS + 1))
    const dense = Array.from({ length: 1_000 }, (_, tenth) => at(tenth / 10, tenth, 0))
    expect(follow(dense).times.length).toBe(400)
  })
})

describe('messages', () => {
  /** Names of all texts, and how many arguments each takes. */
  const shape = (value: unknown): unknown => {
    if (typeof value === 'function') return value.length
    if (typeof value !== 'object' || value === null) return typeof value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
  }

  it('are the same in both languages but for the words', () => {
    expect(shape(zh)).toEqual(shape(en))
  })

  it('are Chinese in Chinese', () => {
    const same: string[] = []
    const compare = (a: unknown, b: unknown, path: string): void => {
      if (typeof a === 'string' && a === b) same.push(path)
      if (typeof a !== 'object' || a === null) return
      for (const [key, inner] of Object.entries(a))
        compare(inner, (b as Record<string, unknown>)[key], `${path}.${key}`)
    }
    compare(en, zh, '')
    expect(same).toEqual(['.sources.api', '.commands.powershell'])
  })

  it('are all used', () => {
    const all = sources('dashboard/src').join('\n')
    // codes and events of the relay are texts of its own code
    const quoted = new Set([...`${all}\n${sources('src').join('\n')}`.matchAll(/'([\w.-]+)'/g)].map(([, text]) => text))
    const chosen = new Set([...all.matchAll(/\bt((?:\.\w+)+)\[/g)].map(([, path]) => path))
    const unused: string[] = []
    const look = (value: unknown, path: string): void => {
      if (typeof value === 'object' && value !== null) {
        for (const [key, inner] of Object.entries(value)) {
          const named = new RegExp(`\\bt${path.replaceAll('.', '\\.')}\\.${key}\\b`).test(all)
          const byKey = chosen.has(path) && quoted.has(key)
          if (typeof inner === 'object') look(inner, `${path}.${key}`)
          else if (!named && !byKey) unused.push(`${path}.${key}`)
        }
      }
    }
    look(en, '')
    expect(unused).toEqual([])
  })
})

/** Texts of all source files below a folder but the messages themselves. */
function sources(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.startsWith('text'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
}
