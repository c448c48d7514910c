import { describe, expect, it } from 'vitest'
import type { Logger } from '../../../src/log.js'
import { createLogger, type LoggerOptions } from '../../../src/node/system/pino-logger.js'

function linesOf(options: Partial<LoggerOptions>, use: (log: Logger) => void): readonly string[] {
  const lines: string[] = []
  const destination = { write: (line: string) => lines.push(line) }
  use(createLogger({ format: 'text', level: 'info', destination, ...options }))
  for (const line of lines) expect(line).toMatch(/^[^\n]+\n$/)
  return lines.map((line) => line.slice(0, -1))
}

describe('createLogger with text', () => {
  const text = (use: (log: Logger) => void, options: Partial<LoggerOptions> = {}): readonly string[] =>
    linesOf(options, use).map((line) => line.replace(/^\d\d:\d\d:\d\d /, ''))

  it('writes HH:MM:SS level event key=value', () => {
    const [line] = linesOf({}, (log) =>
      log.info('channel.opened', { session: 7, target: 'example.com:443', tls: true }),
    )
    expect(line).toMatch(/^\d\d:\d\d:\d\d info channel\.opened session=7 target=example\.com:443 tls=true$/)
  })

  it('shows the time of this machine', () => {
    const before = new Date()
    const [line = ''] = linesOf({}, (log) => log.info('x'))
    const [hours, minutes] = line.split(/[: ]/).map(Number)
    const after = new Date()
    expect([before.getHours(), after.getHours()]).toContain(hours)
    expect([before.getMinutes(), after.getMinutes()]).toContain(minutes)
  })

  it('names each level', () => {
    const lines = text(
      (log) => {
        log.debug('a')
        log.info('b')
        log.warn('c')
        log.error('d')
      },
      { level: 'debug' },
    )
    expect(lines).toEqual(['debug a', 'info b', 'warn c', 'error d'])
  })

  it.each([
    ['info', false],
    ['debug', true],
    ['trace', true],
  ] as const)('at level %s shows debug lines: %s', (level, shown) => {
    expect(text((log) => log.debug('a'), { level })).toHaveLength(shown ? 1 : 0)
  })

  it.each([
    ['two words', '"two words"'],
    ['a=b', '"a=b"'],
    ['say "x"', '"say \\"x\\""'],
    ['', '""'],
    ['plain', 'plain'],
    ['{level}', '{level}'],
  ])('writes %j as %s', (value, shown) => {
    expect(text((log) => log.info('x', { value }))).toEqual([`info x value=${shown}`])
  })

  it('keeps a hostile text on one line and off the terminal', () => {
    const [line = ''] = text((log) => log.info('x', { value: `\u001b[2J\n\u202e${'y'.repeat(2_000)}` }))
    expect(line).toMatch(/^info x value=\S+$/)
    expect(line).toContain('\\u{1b}')
    expect(line.length).toBeLessThan(700)
  })

  it('leaves out undefined fields and keeps those named like its own', () => {
    const fields = { missing: undefined, level: 'high', time: 1, event: 'e' }
    expect(text((log) => log.info('x', fields))).toEqual(['info x level_=high time_=1 event_=e'])
  })

  it('has colours only when asked', () => {
    expect(linesOf({}, (log) => log.warn('x', { a: 1 }))[0]).not.toContain('\u001b')
    const [line = ''] = linesOf({ colors: true }, (log) => log.warn('x', { a: 1 }))
    expect(line).toContain('\u001b[33mwarn')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control sequences
    expect(line.replace(/\u001b\[\d+m/g, '')).toMatch(/^\d\d:\d\d:\d\d warn x a=1$/)
  })
})

describe('createLogger with json', () => {
  const json = (use: (log: Logger) => void): readonly unknown[] =>
    linesOf({ format: 'json' }, use).map((line): unknown => JSON.parse(line))

  it('writes one object a line', () => {
    const entries = json((log) =>
      log.error('exit.failed', { code: 'ERR_X', tries: 2, text: 'a\n"b"', none: undefined }),
    )
    expect(entries).toEqual([
      { level: 'error', time: expect.any(String), event: 'exit.failed', code: 'ERR_X', tries: 2, text: 'a\n"b"' },
    ])
    const [{ time }] = entries as [{ time: string }]
    expect(new Date(time).toISOString()).toBe(time)
  })

  it('lets no field stand in for its own', () => {
    const [line = ''] = linesOf({ format: 'json' }, (log) => log.info('x', { level: 'high', event: 'e' }))
    expect(line.match(/"level":/g)).toHaveLength(1)
    expect(JSON.parse(line)).toMatchObject({ level: 'info', event: 'x', level_: 'high', event_: 'e' })
  })
})

describe('createLogger', () => {
  const hash = '0a'.repeat(32)

  it.each(['text', 'json'] as const)('masks what looks like a secret, as %s', (format) => {
    const fields = {
      url: `ws://relay/socket?token=${hash}&reverse=true`,
      cause: `token=${hash}`,
      proxy: 'http://a:b@c',
    }
    const [line = ''] = linesOf({ format }, (log) => log.warn('x', fields))
    expect(line).not.toContain('0a0a')
    expect(line).not.toContain('a:b@')
    expect(line).toContain('ws://relay/socket?[redacted]')
  })

  it.each(['text', 'json'] as const)('survives a destination that fails, as %s', (format) => {
    let failing = true
    const lines: string[] = []
    const write = (line: string): void => {
      if (failing) throw Object.assign(new Error('broken pipe'), { code: 'EPIPE' })
      lines.push(line)
    }
    const log = createLogger({ format, level: 'info', destination: { write } })
    log.info('lost')
    failing = false
    log.info('kept')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('kept')
  })

  it('writes before it returns', () => {
    const lines: string[] = []
    const log = createLogger({ format: 'json', level: 'info', destination: { write: (line) => lines.push(line) } })
    log.info('a')
    expect(lines).toHaveLength(1)
  })
})
