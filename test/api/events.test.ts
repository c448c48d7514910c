import { describe, expect, it } from 'vitest'
import { COMMENT_INTERVAL_MS, MAX_EVENTS_BEHIND, STATS_INTERVAL_MS } from '../../src/api/event-stream.js'
import { MAX_EVENT_READERS } from '../../src/api/events.js'
import { MAX_EVENTS } from '../../src/relay/observe/event-log.js'
import { settle } from '../support/manual-clock.js'
import { createFixture, expectJson, type Fixture, failure, KEY } from './fixture.js'

const added = (tokenId: string) => ({ type: 'token.added', tokenId, tokenType: 'reverse', label: 'Office' }) as const

interface Told {
  readonly id?: string
  readonly event?: string
  readonly data?: unknown
}

function told(text: string): readonly Told[] {
  return text.split('\n\n').flatMap((block) => {
    const fields = block.split('\n').map((line) => /^(\w+): (.*)$/.exec(line) ?? [])
    const told = Object.fromEntries(
      fields.map(([, name = '', value]) => [name, name === 'data' ? JSON.parse(value ?? '') : value]),
    )
    return block === '' || block === ':' ? [] : [told]
  })
}

class Reader {
  readonly response: Response
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined

  constructor(response: Response) {
    this.response = response
    this.#reader = response.body?.getReader()
  }

  /** What has come by now, as it stands on the wire. */
  async raw(): Promise<string> {
    const { value } = (await this.#reader?.read()) ?? {}
    return new TextDecoder().decode(value)
  }

  async next(): Promise<readonly Told[]> {
    return told(await this.raw())
  }

  async done(): Promise<boolean | undefined> {
    return (await this.#reader?.read())?.done
  }

  leave(): Promise<void> | undefined {
    return this.#reader?.cancel()
  }
}

async function open(fixture: Fixture, types = 'token', lastEventId?: string): Promise<Reader> {
  const headers = { 'x-api-key': KEY, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) }
  const request = new Request(`http://relay.test/api/events?types=${types}`, { headers })
  return new Reader(await fixture.handle(request, { rawPath: '/api/events', remoteAddress: '192.0.2.7' }))
}

const idOf = (events: readonly Told[]): string => events.at(-1)?.id ?? ''

describe('GET /api/events', () => {
  it('greets, then tells what happens as it happens', async () => {
    const fixture = createFixture()
    const reader = await open(fixture)
    expect(reader.response.headers.get('content-type')).toBe('text/event-stream')
    expect(reader.response.headers.get('cache-control')).toBe('no-store')
    const [hello, ...rest] = await reader.next()
    expect(hello).toMatchObject({ event: 'hello', data: { version: '1.2.3', time: '2026-01-01T00:00:00.000Z' } })
    expect(rest).toEqual([])
    const next = reader.next()
    fixture.admin.events.emit(added('a'))
    const data = { time: '2026-01-01T00:00:00.000Z', token_id: 'a', type: 'reverse', label: 'Office' }
    expect(await next).toEqual([{ id: hello?.id?.replace(/-0$/, '-1'), event: 'token.added', data }])
  })

  it('tells only of what was asked for', async () => {
    const fixture = createFixture()
    const reader = await open(fixture, 'alarm')
    await reader.next()
    fixture.admin.events.emit(added('a'))
    const alarm = { code: 'not-stored', subject: undefined, message: 'full', since: 0 } as const
    fixture.admin.events.emit({ type: 'alarm.raised', alarm })
    expect(await reader.next()).toMatchObject([{ event: 'alarm.raised', data: { code: 'not-stored', subject: null } }])
  })

  it.each(['', 'tokens', 'token,', 'token;client', 'key'])('refuses types=%s', async (types) => {
    const { response } = await open(createFixture(), types)
    expect(response.status).toBe(400)
  })

  it('tells the counts at once and every second, and a comment now and then', async () => {
    const fixture = createFixture()
    const reader = await open(fixture, 'stats')
    const stats = {
      event: 'stats',
      data: { draining: false, tokens: 0, received_bytes: 1_000, sent_bytes: 2_000, alarms: [] },
    }
    expect(await reader.next()).toMatchObject([{ event: 'hello' }, stats])
    fixture.clock.advance(STATS_INTERVAL_MS)
    const [second] = await reader.next()
    expect(second).toMatchObject(stats)
    expect(second?.id).toBeUndefined()
    fixture.clock.advance(COMMENT_INTERVAL_MS)
    expect(await reader.raw()).toContain('\n\n:\n\n')
  })

  it('goes on where a reader was, and says so when that is not known any more', async () => {
    const fixture = createFixture()
    const first = await open(fixture)
    fixture.admin.events.emit(added('a'))
    const id = idOf(await first.next())
    await first.leave()
    fixture.admin.events.emit(added('b'))
    const again = await (await open(fixture, 'token', id)).next()
    // cut off behind the greeting, it would have to come again from there
    expect(again).toMatchObject([
      { event: 'hello', id },
      { event: 'token.added', data: { token_id: 'b' } },
    ])
    for (let i = 0; i < MAX_EVENTS; i += 1) fixture.admin.events.emit(added('c'))
    const missed = [{ event: 'hello' }, { event: 'missed' }]
    for (const lost of [id, 'other-1', '00ff-1', `${id}99999`, 'x', '-']) {
      expect(await (await open(fixture, 'token', lost)).next(), lost).toMatchObject(missed)
    }
  })

  it('puts what waited for a busy reader into one piece, and closes one that falls too far behind', async () => {
    const fixture = createFixture()
    const [busy, slow] = [await open(fixture), await open(fixture)]
    await busy.next()
    for (let i = 0; i < MAX_EVENTS_BEHIND - 1; i += 1) fixture.admin.events.emit(added('a'))
    expect(await busy.next()).toHaveLength(MAX_EVENTS_BEHIND - 1)
    fixture.admin.events.emit(added('one more'))
    expect(await slow.done()).toBe(true)
    expect(await busy.next()).toHaveLength(1)
    expect(fixture.api.eventReaders).toBe(1)
  })

  it('takes so many readers and no more, and one again when another has left', async () => {
    const fixture = createFixture()
    const readers: Reader[] = []
    for (let i = 0; i < MAX_EVENT_READERS; i += 1) readers.push(await open(fixture))
    const response = await fixture.call('GET', '/api/events')
    expect(response.status).toBe(503)
    expect(await expectJson(response)).toEqual(failure('too many readers of events'))
    await readers[0]?.leave()
    expect((await open(fixture)).response.status).toBe(200)
  })

  it('leaves nothing behind: neither timers nor listeners', async () => {
    const fixture = createFixture()
    const reader = await open(fixture, 'token,stats')
    expect(fixture.clock.pending).toBeGreaterThan(0)
    await reader.leave()
    expect(fixture.clock.pending).toBe(0)
    fixture.admin.events.emit(added('a'))
    expect(fixture.api.eventReaders).toBe(0)
  })

  it('ends with the API, for those who read and those who come', async () => {
    const fixture = createFixture()
    const reader = await open(fixture)
    await reader.next()
    fixture.api.close()
    fixture.api.close()
    expect(await reader.done()).toBe(true)
    expect((await open(fixture)).response.status).toBe(503)
  })

  it('answers HEAD without becoming a reader', async () => {
    const fixture = createFixture()
    const response = await fixture.call('HEAD', '/api/events')
    expect([response.status, response.body]).toEqual([200, null])
    await settle()
    expect(fixture.api.eventReaders).toBe(0)
    expect(fixture.clock.pending).toBe(0)
  })
})
