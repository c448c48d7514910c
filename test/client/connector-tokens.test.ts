import { describe, expect, it } from 'vitest'
import { ConnectorTokens } from '../../src/client/connector-tokens.js'
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
  const connect = async () => {
    const made = session(clock)
    const timers = clock.pending
    connectorTokens.register(made.session)
    await settle()
    const asked = (): ConnectorMessage[] => made.far.received(MessageType.Connector)
    return { ...made, asked, timers }
  }
  const answer = (asked: ConnectorMessage | undefined, fields: Partial<ConnectorResponseMessage>): void => {
    if (asked === undefined) throw new Error('nothing was asked')
    const { requestId } = asked
    connectorTokens.answered({ type: MessageType.ConnectorResponse, requestId, success: true, ...fields })
  }
  return { clock, log, connectorTokens, connect, answer }
}

const names = (far: ScriptedLink): string[] => far.received(MessageType.Connector).map(({ token }) => token)

describe('ConnectorTokens', () => {
  it('adds each token on each new link, with a request id of its own', async () => {
    const { connect, connectorTokens } = setUp(['a', 'b'])
    const first = await connect()
    expect(first.asked().map(({ operation }) => operation)).toEqual([ConnectorOperation.Add, ConnectorOperation.Add])
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
    const { asked, timers } = await connect()
    answer(asked()[0], { token: 'hidden-name' })
    expect(log.of('connector.registered')).toEqual([{ index: 1 }])
    expect(log.text).not.toContain('hidden-name')
    expect(clock.pending).toBe(timers)
  })

  it('has a token generated once, tells it, and adds it by name from then on', async () => {
    const { connect, answer, log, connectorTokens } = setUp([''])
    const first = await connect()
    expect([names(first.far), connectorTokens.tokens]).toEqual([[''], []])
    answer(first.asked()[0], { token: 'made' })
    expect(connectorTokens.tokens).toEqual(['made'])
    expect(log.of('connector.generated')).toEqual([{ connectorToken: 'made' }])
    const second = await connect()
    expect(names(second.far)).toEqual(['made'])
    answer(second.asked()[0], { token: 'made' })
    expect(log.of('connector.generated')).toHaveLength(1)
  })

  it('does not ask for one token after another when the server names none', async () => {
    const { connect, answer, log, clock } = setUp([''])
    const { asked, far } = await connect()
    answer(asked()[0], {})
    await clock.advanceAsync(10 * RETRY_MS)
    expect([names(far), log.of('connector.unnamed')]).toEqual([[''], [{ index: 1 }]])
  })

  it('asks again for a refused token', async () => {
    const { connect, answer, log, clock } = setUp(['a', 'b'])
    const { asked, far } = await connect()
    answer(asked()[0], {})
    answer(asked()[1], { success: false, error: 'connector token already exists\u0007' })
    const reason = 'connector token already exists\\u{7}'
    expect(log.of('connector.refused')).toEqual([{ index: 2, reason, retryMs: RETRY_MS }])
    await clock.advanceAsync(RETRY_MS - 1)
    expect(names(far)).toEqual(['a', 'b'])
    await clock.advanceAsync(1)
    expect(names(far)).toEqual(['a', 'b', 'b'])
  })

  it('asks again when no answer came, and ignores the late one', async () => {
    const { connect, answer, log, clock } = setUp([''])
    const { asked, far } = await connect()
    await clock.advanceAsync(ANSWER_MS)
    expect(log.of('connector.refused')).toMatchObject([{ index: 1, reason: 'the server did not answer in time' }])
    answer(asked()[0], { token: 'late' })
    await clock.advanceAsync(RETRY_MS)
    expect(names(far)).toEqual(['', ''])
    answer(asked()[1], { token: 'made' })
    expect(log.of('connector.generated')).toEqual([{ connectorToken: 'made' }])
  })

  it('ignores an answer that nobody asked for, and a second one', async () => {
    const { connect, answer, log, connectorTokens } = setUp([''])
    const { asked } = await connect()
    const requestId = new Uint8Array(16)
    connectorTokens.answered({ type: MessageType.ConnectorResponse, requestId, success: true, token: 'forged' })
    answer(asked()[0], { token: 'made' })
    answer(asked()[0], { token: 'other' })
    expect([connectorTokens.tokens, log.lines.length]).toEqual([['made'], 1])
  })

  it.each(['an answer', 'the next try'])('leaves nothing behind when stopped while it waits for %s', async (what) => {
    const { connect, answer, log, clock, connectorTokens } = setUp(['a', 'b'])
    const { asked, far, timers } = await connect()
    if (what === 'the next try') for (const one of asked()) answer(one, { success: false, error: 'no' })
    const lines = log.lines.length
    connectorTokens.stop()
    expect(clock.pending).toBe(timers)
    answer(asked()[0], {})
    await clock.advanceAsync(2 * RETRY_MS)
    expect([names(far), log.lines.length]).toEqual([['a', 'b'], lines])
  })

  it('asks nothing on a link that has ended', async () => {
    const { clock, connectorTokens } = setUp(['a'])
    const { session: ended } = session(clock)
    ended.abort(new LinkSocksError('ERR_LINK_LOST', 'gone'))
    connectorTokens.register(ended)
    expect(clock.pending).toBe(0)
  })

  it('leaves the link before to its fate', async () => {
    const { connect, clock } = setUp(['a'])
    const first = await connect()
    const second = await connect()
    first.session.abort(new LinkSocksError('ERR_LINK_LOST', 'gone'))
    await clock.advanceAsync(ANSWER_MS + RETRY_MS)
    expect([names(first.far), names(second.far)]).toEqual([['a'], ['a', 'a']])
  })
})
