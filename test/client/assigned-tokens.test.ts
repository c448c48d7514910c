import { describe, expect, it } from 'vitest'
import { AssignedTokens } from '../../src/client/assigned-tokens.js'
import type { Admitted, Ticket } from '../../src/client/connect-link.js'
import { type ErrorCode, LinkSocksError } from '../../src/errors.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { encodeAuthResponse, MessageType } from '../../src/protocol/messages.js'
import { tokenHash } from '../../src/protocol/token-hash.js'
import { NIL_UUID } from '../../src/protocol/uuid.js'
import { settle } from '../support/manual-clock.js'
import { memoryTransportPair } from '../support/memory-transport.js'
import { LogRecorder } from './fixture.js'
import { TunnelStage } from './tunnel-fixture.js'

const ticketOf = (url: string, token: string | undefined): Ticket => ({ url, token, id: NIL_UUID, received: 1 })

/** What was shown to a server, and what its answers assign, or the code they fail with. */
function setUp(own: string | undefined) {
  const log = new LogRecorder()
  const tokens = new AssignedTokens(own, log)
  const shown: string[] = []
  const connect = (url: string, answers: readonly (string | { code: ErrorCode })[], ticket?: Ticket) => {
    const left = [...answers]
    return tokens.connect(url, ticket, async (token, fitting): Promise<Admitted> => {
      shown.push(`${url} ${token}${fitting === undefined ? '' : ' resumes'}`)
      const answer = left.shift() ?? ''
      if (typeof answer !== 'string') throw new LinkSocksError(answer.code, 'refused')
      const assignedToken = answer === '' || answer === token ? undefined : answer
      const [transport] = memoryTransportPair()
      const rest = { elsewhere: false, sessionId: undefined, received: undefined, keepsOrder: false, early: [] }
      return { url, token, transport, assignedToken, ...rest }
    })
  }
  return { log, shown, connect }
}

const REFUSED = { code: 'ERR_AUTH_REJECTED' } as const

describe('AssignedTokens', () => {
  it('shows an assigned token to the server that assigned it, and to no other', async () => {
    const { shown, connect } = setUp('own')
    await connect('a', ['given'])
    await connect('a', [''])
    await connect('b', [''])
    await connect('a', ['newer'])
    await connect('a', [''])
    expect(shown).toEqual(['a own', 'a given', 'b own', 'a given', 'a newer'])
  })

  it('goes back to its own at once when the assigned one is refused, and may be assigned another', async () => {
    const { shown, connect } = setUp('own')
    await connect('a', ['given'])
    await connect('a', [REFUSED, ''])
    await connect('a', ['again'])
    await connect('a', [''])
    expect(shown).toEqual(['a own', 'a given', 'a own', 'a own', 'a again'])
  })

  it('goes back to its own on each of several links that show the refused one', async () => {
    const { shown, connect } = setUp('own')
    await connect('a', ['given'])
    await Promise.all([connect('a', [REFUSED, '']), connect('a', [REFUSED, ''])])
    expect(shown).toEqual(['a own', 'a given', 'a given', 'a own', 'a own'])
  })

  it('fails when its own is refused, after an assigned one or without', async () => {
    const { shown, connect } = setUp('own')
    await expect(connect('a', [REFUSED, ''])).rejects.toMatchObject(REFUSED)
    await connect('a', ['given'])
    await expect(connect('a', [REFUSED, REFUSED, ''])).rejects.toMatchObject(REFUSED)
    expect(shown).toEqual(['a own', 'a own', 'a given', 'a own'])
  })

  it('keeps the assigned one when the connection fails in another way', async () => {
    const { shown, connect } = setUp('own')
    await connect('a', ['given'])
    await expect(connect('a', [{ code: 'ERR_CONNECT' }, ''])).rejects.toMatchObject({ code: 'ERR_CONNECT' })
    await connect('a', [''])
    expect(shown).toEqual(['a own', 'a given', 'a given'])
  })

  it('resumes a session with the token it began with, whatever was assigned since', async () => {
    const { shown, connect } = setUp('own')
    await connect('a', ['given'])
    await connect('a', [''], ticketOf('a', 'own'))
    await connect('b', [''], ticketOf('a', 'own'))
    await expect(connect('a', [REFUSED, ''], ticketOf('a', 'own'))).rejects.toMatchObject(REFUSED)
    await connect('a', [REFUSED, ''], ticketOf('a', 'given'))
    expect(shown).toEqual(['a own', 'a own resumes', 'b own', 'a own resumes', 'a given resumes', 'a own'])
  })

  it.each(['anonymous', 'x'.repeat(256), 'line\nbreak', '\ud800'])(
    'does not adopt %j, which is no token',
    async (bad) => {
      const { shown, connect } = setUp('own')
      await connect('a', [bad])
      await connect('a', [''])
      expect(shown).toEqual(['a own', 'a own'])
    },
  )

  it('adopts a token of 255 bytes', async () => {
    const { shown, connect } = setUp('own')
    await connect('a', ['é'.repeat(127)])
    await connect('a', [''])
    expect(shown).toEqual(['a own', `a ${'é'.repeat(127)}`])
  })

  it('logs what it was assigned once where the client has no token, and never where it has one', async () => {
    const none = setUp(undefined)
    await none.connect('a', ['given'])
    await none.connect('a', ['given'])
    await none.connect('b', ['given'])
    expect(none.log.lines.map(({ event, fields }) => [event, fields])).toEqual([['token.assigned', { token: 'given' }]])
    const some = setUp('own')
    await some.connect('a', ['given'])
    expect(some.log.lines).toEqual([])
  })
})

describe('Tunnel', () => {
  const ASSIGNED = encodeAuthResponse({ success: true, token: 'given-token' })
  const cut = async (stage: TunnelStage): Promise<void> => {
    stage.server.link().transport.cut()
    await stage.clock.advanceAsync(0)
    await stage.clock.advanceAsync(500)
  }

  it('adopts an assigned token for its next handshake, and goes back when it is refused', async () => {
    const stage = await new TunnelStage().start()
    stage.server.link().send(ASSIGNED)
    await stage.started
    await cut(stage)
    expect(stage.server.link().url).toContain(`token=${tokenHash('given-token', nodeCrypto)}`)
    stage.server.link().send(encodeAuthResponse({ success: false, error: 'no given-token' }))
    await settle()
    expect(stage.server.link().url).toContain(`token=${tokenHash('secret-token', nodeCrypto)}`)
    await stage.server.link().admit()
    expect([stage.server.links.length, stage.tunnel.links]).toEqual([3, 1])
    expect(stage.log.text).not.toContain('given-token')
    await stage.tunnel.close()
  })

  it('resumes with the token of the session, in-band', async () => {
    const stage = await new TunnelStage().start()
    const sessionId = new Uint8Array(16).fill(1)
    stage.server.link().send(encodeAuthResponse({ success: true, token: 'given-token', trailer: { sessionId } }))
    await stage.started
    await cut(stage)
    expect(stage.server.link().received(MessageType.Auth)).toMatchObject([
      { token: 'secret-token', trailer: { sessionId } },
    ])
    await stage.tunnel.close()
  })
})
