import { describe, expect, it } from 'vitest'
import { EventParser, type ServerEvent } from '../../dashboard/src/api/sse.js'

function parse(parts: readonly string[]): { readonly events: readonly ServerEvent[]; readonly lastId: string } {
  const events: ServerEvent[] = []
  const parser = new EventParser((event) => events.push(event))
  for (const part of parts) parser.push(part)
  return { events, lastId: parser.lastId }
}

const TEXT =
  ': hello\nid: r-1\nevent: hello\ndata: {"a":1}\n\nevent:stats\ndata: one\ndata: two\r\n\r\nid: r-2\rdata\r\r:\n'
const EXPECTED = {
  events: [
    { event: 'hello', data: '{"a":1}' },
    { event: 'stats', data: 'one\ntwo' },
    { event: 'message', data: '' },
  ],
  lastId: 'r-2',
}

describe('EventParser', () => {
  it('reads events with any line end', () => {
    expect(parse([TEXT])).toEqual(EXPECTED)
  })

  it('reads the same whatever pieces it comes in', () => {
    for (let at = 0; at <= TEXT.length; at++) expect(parse([TEXT.slice(0, at), TEXT.slice(at)])).toEqual(EXPECTED)
    expect(parse([...TEXT])).toEqual(EXPECTED)
  })

  it('delivers nothing for a block without data, and forgets its name', () => {
    expect(parse(['event: a\n\ndata: b\n\n']).events).toEqual([{ event: 'message', data: 'b' }])
  })

  it('leaves out an id with a NUL', () => {
    expect(parse(['id: a\ndata: b\n\nid: a\0b\ndata: c\n\n']).lastId).toBe('a')
  })

  it('gives up an event that does not end', () => {
    const line = `data: ${'x'.repeat(1_000)}\n`
    expect(() => parse(Array.from({ length: 1_100 }, () => line))).toThrow(RangeError)
    expect(() => parse(['x'.repeat(1_100_000)])).toThrow(RangeError)
  })
})
