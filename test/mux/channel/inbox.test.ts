import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { CROWDED_INBOX_BYTES, Inbox, MAX_EXCESS_BYTES } from '../../../src/mux/channel/inbox.js'
import { Compression, type Message, MessageType } from '../../../src/protocol/messages.js'
import { settle } from '../../support/manual-clock.js'
import { data, disconnect, uuid } from '../fixture.js'

function setUp() {
  const jobs: { resolve(output: Uint8Array): void; reject(error: Error): void }[] = []
  const handled: (number | string)[] = []
  const errors: LinkSocksError[] = []
  let crowded = 0
  let relieved = 0
  let onMessage = (_message: Message): void => {}
  const inbox = new Inbox(() => new Promise((resolve, reject) => jobs.push({ resolve, reject })), {
    message: (message) => {
      handled.push(message.type === MessageType.Data ? (message.data[0] ?? -1) : message.type)
      onMessage(message)
    },
    failed: (error) => errors.push(error),
    crowded: () => {
      crowded += 1
    },
    relieved: () => {
      relieved += 1
    },
  })
  const plain = (byte: number) => inbox.push(data(uuid(1), Uint8Array.of(byte)))
  const gzip = () => inbox.push(data(uuid(1), Uint8Array.of(0), Compression.Gzip))
  return {
    inbox,
    jobs,
    handled,
    errors,
    plain,
    gzip,
    crowded: () => crowded,
    relieved: () => relieved,
    onMessage: (hook: typeof onMessage) => {
      onMessage = hook
    },
  }
}

describe('Inbox', () => {
  it('handles plain messages at once', () => {
    const { plain, handled } = setUp()
    plain(1)
    plain(2)
    expect(handled).toEqual([1, 2])
  })

  it('keeps what follows gzip data behind it, through several of them', async () => {
    const { inbox, plain, gzip, handled, jobs } = setUp()
    gzip()
    plain(2)
    gzip()
    plain(4)
    inbox.push(disconnect(uuid(1)))
    expect([handled, jobs.length]).toEqual([[], 1])
    jobs[0]?.resolve(Uint8Array.of(1))
    await settle()
    plain(5)
    expect([handled, jobs.length]).toEqual([[1, 2], 2])
    jobs[1]?.resolve(Uint8Array.of(3))
    await settle()
    expect(handled).toEqual([1, 2, 3, 4, MessageType.Disconnect, 5])
    plain(6)
    expect(handled.at(-1)).toBe(6)
  })

  it('keeps the order of a message that comes while waiting ones are handled', async () => {
    const { plain, gzip, handled, jobs, onMessage } = setUp()
    gzip()
    plain(2)
    plain(3)
    onMessage((message) => {
      if (message.type === MessageType.Data && message.data[0] === 2) plain(4)
    })
    jobs[0]?.resolve(Uint8Array.of(1))
    await settle()
    expect(handled).toEqual([1, 2, 3, 4])
  })

  it('reports a failed inflation and goes on with what follows', async () => {
    const { plain, gzip, handled, jobs, errors } = setUp()
    gzip()
    plain(2)
    jobs[0]?.reject(new LinkSocksError('ERR_MESSAGE_TOO_LARGE', 'bomb'))
    await settle()
    expect(errors.map((error) => error.code)).toEqual(['ERR_MESSAGE_TOO_LARGE'])
    plain(3)
    expect(handled).toEqual([2, 3])
  })

  it.each(['resolve', 'reject'] as const)(
    'says nothing after close() while it waits, whether the job will %s',
    async (end) => {
      const { inbox, plain, gzip, handled, jobs, errors } = setUp()
      gzip()
      plain(2)
      inbox.close()
      if (end === 'resolve') jobs[0]?.resolve(Uint8Array.of(1))
      else jobs[0]?.reject(new Error('broken'))
      await settle()
      plain(3)
      expect([handled, errors]).toEqual([[], []])
    },
  )

  it('stops in the middle when it is closed from inside', async () => {
    const { inbox, plain, gzip, handled, jobs, onMessage } = setUp()
    gzip()
    plain(2)
    plain(3)
    onMessage(() => inbox.close())
    jobs[0]?.resolve(Uint8Array.of(1))
    await settle()
    expect(handled).toEqual([1])
  })

  it('asks for a pause, takes what had been read by then and refuses more; and takes as much again later', async () => {
    const { inbox, gzip, handled, jobs, errors, crowded, relieved } = setUp()
    const most = data(uuid(1), new Uint8Array(CROWDED_INBOX_BYTES - 24))
    const rest = data(uuid(1), new Uint8Array(MAX_EXCESS_BYTES - 24))
    for (let round = 0; round < 2; round += 1) {
      gzip()
      inbox.push(most)
      expect(crowded()).toBe(2 * round)
      inbox.push(most)
      inbox.push(rest)
      expect([crowded(), relieved()]).toEqual([2 * round + 2, round])
      for (let i = 0; i < 3; i += 1) inbox.push(disconnect(uuid(1)))
      expect(errors.splice(0).map((error) => error.code)).toEqual(['ERR_LIMIT', 'ERR_LIMIT', 'ERR_LIMIT'])
      jobs[round]?.resolve(Uint8Array.of(1))
      await settle()
      expect(relieved()).toBe(round + 1)
    }
    expect(handled).toEqual([1, 0, 0, 0, 1, 0, 0, 0])
  })

  it('takes a message of any size, and what follows in the same read', () => {
    const { inbox, gzip, errors, crowded } = setUp()
    gzip()
    inbox.push(data(uuid(1), new Uint8Array(3 * MAX_EXCESS_BYTES)))
    inbox.push(disconnect(uuid(1)))
    expect([errors, crowded()]).toEqual([[], 2])
  })

  it('asks for no pause any more once it is closed', () => {
    const { inbox, gzip, relieved } = setUp()
    gzip()
    inbox.push(data(uuid(1), new Uint8Array(CROWDED_INBOX_BYTES)))
    inbox.close()
    inbox.close()
    expect(relieved()).toBe(1)
  })

  it('reports what it cannot decode and goes on', () => {
    const { inbox, plain, handled, errors } = setUp()
    inbox.push(data(uuid(1), new Uint8Array(5)).subarray(0, 26))
    plain(1)
    expect(errors.map((error) => error.code)).toEqual(['ERR_MESSAGE_TRUNCATED'])
    expect(handled).toEqual([1])
  })

  it.each([false, true])('reports what the handler throws and goes on (after inflation: %s)', async (waiting) => {
    const { plain, gzip, handled, errors, jobs, onMessage } = setUp()
    onMessage((message) => {
      if (message.type === MessageType.Data && message.data[0] === 2) throw new LinkSocksError('ERR_LIMIT', 'no')
    })
    if (waiting) gzip()
    plain(2)
    plain(3)
    jobs[0]?.resolve(Uint8Array.of(2))
    await settle()
    expect(errors).toHaveLength(waiting ? 2 : 1)
    expect(handled).toEqual(waiting ? [2, 2, 3] : [2, 3])
  })
})
