import { describe, expect, it } from 'vitest'
import { ConnectorTokens, type ProviderLink } from '../../src/client/connector-tokens.js'
import { LinkSocksError } from '../../src/errors.js'
import {
  type ConnectorMessage,
  ConnectorOperation,
  type ConnectorResponseMessage,
  MessageType,
} from '../../src/protocol/messages.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { LogRecorder, type ScriptedLink, session } from './fixture.js'

const ANSWER_MS = 10_000
const RETRY_MS = 10_000

function setUp(tokens: readonly string[]) {
  const clock = new ManualClock()
  const log = new LogRecorder()
  const connectorTokens = new ConnectorTokens(tokens, log)
  const connect = async (url = 'ws://relay.test') => {
    const made = session(clock)
    const timers = clock.pending
    const link = { session: made.session, url, draining: false }
    connectorTokens.join(link)
    await settle()
    const asked = (): ConnectorMessage[] => made.far.received(MessageType.Connector)
    /** It ends, and its owner tells so. */
    const end = async (): Promise<void> => {
      made.session.abort(new LinkSocksError('ERR_LINK_LOST', 'gone'))
      connectorTokens.leave(link)
      await settle()
    }
    return { ...made, link, asked, timers, end }
  }
  const answer = (
    { link }: { readonly link: ProviderLink },
    asked: ConnectorMessage | undefined,
    fields: Partial<ConnectorResponseMessage>,
  ): void => {
    if (asked === undefined) throw new Error('nothing was asked')
    const { requestId } = asked
    connectorTokens.answered(link, { type: MessageType.ConnectorResponse, requestId, success: true, ...fields })
  }
  return { clock, log, connectorTokens, connect, answer }
}

type Mutable = { -readonly [K in keyof ProviderLink]: ProviderLink[K] }

const names = (far: ScriptedLink): string[] => far.received(MessageType.Connector).map(({ token }) => token)

describe('ConnectorTokens', () => {
  it('adds each token on each new link that follows another, with a request id of its own', async () => {
    const { connect, connectorTokens } = setUp(['a', 'b'])
    const first = await connect()
    expect(first.asked().map(({ operation }) => operation)).toEqual([ConnectorOperation.Add, ConnectorOperation.Add])
    await first.end()
    const second = await connect()
    expect([names(first.far), names(second.far)]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
    const ids = [...first.asked(), ...second.asked()].map(({ requestId }) => requestId.join())
    expect(new Set(ids).size).toBe(4)
    expect(connectorTokens.tokens).toEqual(['a', 'b'])
  })

  it('logs success by number, and never the name of a token that was chosen', async () => {
    const { connect, answer, log, clock } = setUp(['hidden-name'])
    const link = await connect()
    answer(link, link.asked()[0], { token: 'hidden-name' })
    expect(log.of('connector.registered')).toEqual([{ index: 1 }])
    expect(log.text).not.toContain('hidden-name')
    expect(clock.pending).toBe(link.timers)
  })

  it('has a token generated once, tells it, and adds it by name from then on', async () => {
    const { connect, answer, log, connectorTokens } = setUp([''])
    const first = await connect()
    expect([names(first.far), connectorTokens.tokens]).toEqual([[''], []])
    answer(first, first.asked()[0], { token: 'made' })
    expect(connectorTokens.tokens).toEqual(['made'])
    expect(log.of('connector.generated')).toEqual([{ connectorToken: 'made' }])
    await first.end()
    const second = await connect()
    expect(names(second.far)).toEqual(['made'])
    answer(second, second.asked()[0], { token: 'made' })
    expect(log.of('connector.generated')).toHaveLength(1)
  })

  it('does not ask for one token after another when the server names none', async () => {
    const { connect, answer, log, clock } = setUp([''])
    const link = await connect()
    answer(link, link.asked()[0], {})
    await clock.advanceAsync(10 * RETRY_MS)
    expect([names(link.far), log.of('connector.unnamed')]).toEqual([[''], [{ index: 1 }]])
  })

  it('asks again for a refused token', async () => {
    const { connect, answer, log, clock } = setUp(['a', 'b'])
    const link = await connect()
    answer(link, link.asked()[0], {})
    answer(link, link.asked()[1], { success: false, error: 'connector token already exists\u0007' })
    const reason = 'connector token already exists\\u{7}'
    expect(log.of('connector.refused')).toEqual([{ index: 2, reason, retryMs: RETRY_MS }])
    await clock.advanceAsync(RETRY_MS - 1)
    expect(names(link.far)).toEqual(['a', 'b'])
    await clock.advanceAsync(1)
    expect(names(link.far)).toEqual(['a', 'b', 'b'])
  })

  it('asks again when no answer came, and ignores the late one', async () => {
    const { connect, answer, log, clock } = setUp([''])
    const link = await connect()
    await clock.advanceAsync(ANSWER_MS)
    expect(log.of('connector.refused')).toMatchObject([{ index: 1, reason: 'the server did not answer in time' }])
    answer(link, link.asked()[0], { token: 'late' })
    await clock.advanceAsync(RETRY_MS)
    expect(names(link.far)).toEqual(['', ''])
    answer(link, link.asked()[1], { token: 'made' })
    expect(log.of('connector.generated')).toEqual([{ connectorToken: 'made' }])
  })

  it('ignores an answer that nobody asked for, one by another link, and a second one', async () => {
    const { connect, answer, log, connectorTokens } = setUp([''])
    const [link, other] = [await connect(), await connect()]
    const forged = { requestId: new Uint8Array(16), token: 'forged' }
    answer(link, link.asked()[0], forged)
    answer(other, link.asked()[0], { token: 'from elsewhere' })
    answer(link, link.asked()[0], { token: 'made' })
    answer(link, link.asked()[0], { token: 'other' })
    expect([connectorTokens.tokens, log.lines.length]).toEqual([['made'], 1])
  })

  it.each(['an answer', 'the next try'])(
    'leaves nothing behind when the link ends while it waits for %s',
    async (what) => {
      const { connect, answer, log, clock } = setUp(['a', 'b'])
      const link = await connect()
      if (what === 'the next try') for (const one of link.asked()) answer(link, one, { success: false, error: 'no' })
      const lines = log.lines.length
      await link.end()
      expect(clock.pending).toBe(0)
      answer(link, link.asked()[0], {})
      await clock.advanceAsync(2 * RETRY_MS)
      expect([names(link.far), log.lines.length]).toEqual([['a', 'b'], lines])
    },
  )

  it('asks nothing on a link that has ended', async () => {
    const { clock, connectorTokens } = setUp(['a'])
    const { session: ended } = session(clock)
    ended.abort(new LinkSocksError('ERR_LINK_LOST', 'gone'))
    connectorTokens.join({ session: ended, url: 'ws://relay.test', draining: false })
    expect(clock.pending).toBe(0)
  })
})

describe('ConnectorTokens with several links', () => {
  it('asks through one of them, and through the next one when that has ended', async () => {
    const { connect, answer } = setUp(['a', ''])
    const [first, second, third] = [await connect(), await connect(), await connect()]
    expect([names(first.far), names(second.far), names(third.far)]).toEqual([['a', ''], [], []])
    answer(first, first.asked()[1], { token: 'made' })
    await first.end()
    expect([names(second.far), names(third.far)]).toEqual([['a', 'made'], []])
    await second.end()
    expect(names(third.far)).toEqual(['a', 'made'])
  })

  it('goes on when one ends that did not ask', async () => {
    const { connect, clock, log } = setUp(['a'])
    const [first, second] = [await connect(), await connect()]
    await second.end()
    await clock.advanceAsync(ANSWER_MS + RETRY_MS)
    expect([names(first.far), log.of('connector.refused').length]).toEqual([['a', 'a'], 1])
  })

  it.each([
    ['drains', (link: Mutable) => void Object.assign(link, { draining: true })],
    ['waits for its WebSocket', ({ session: waiting }: Mutable) => waiting.clock.stop()],
  ])('has a new link ask when the one that did %s', async (_what, change) => {
    const { connect } = setUp(['a'])
    const first = await connect()
    const second = await connect()
    expect(names(second.far)).toEqual([])
    change(first.link)
    const third = await connect()
    expect([names(first.far), names(second.far), names(third.far)]).toEqual([['a'], [], ['a']])
    await first.end()
    expect([names(second.far), names(third.far)]).toEqual([[], ['a']])
  })

  it('passes over links that drain when the one that asked has ended', async () => {
    const { connect } = setUp(['a'])
    const [first, second, third] = [await connect(), await connect(), await connect()]
    second.link.draining = true
    await first.end()
    expect([names(second.far), names(third.far)]).toEqual([[], ['a']])
  })
})

describe('ConnectorTokens with several servers', () => {
  it('asks each of them, through one link', async () => {
    const { connect } = setUp(['a'])
    const [one, two] = [await connect('ws://one.test'), await connect('ws://two.test')]
    await connect('ws://two.test')
    expect([names(one.far), names(two.far)]).toEqual([['a'], ['a']])
    await one.end()
    expect(names(two.far)).toEqual(['a'])
  })

  it('has one of them generate a token, and tells it to the others', async () => {
    const { connect, answer, log } = setUp(['', 'b'])
    const [one, two] = [await connect('ws://one.test'), await connect('ws://two.test')]
    expect([names(one.far), names(two.far)]).toEqual([['b', ''], ['b']])
    answer(one, one.asked()[1], { token: 'made' })
    await settle()
    expect(names(two.far)).toEqual(['b', 'made'])
    answer(two, two.asked()[1], { token: 'made' })
    expect(log.of('connector.generated')).toEqual([{ connectorToken: 'made' }])
  })

  it('has the next one generate it when the first is gone before it did', async () => {
    const { connect, answer, connectorTokens } = setUp([''])
    const [one, two] = [await connect('ws://one.test'), await connect('ws://two.test')]
    await one.end()
    expect(names(two.far)).toEqual([''])
    answer(two, two.asked()[0], { token: 'made' })
    expect(connectorTokens.tokens).toEqual(['made'])
  })
})
