import { describe, expect, it } from 'vitest'

import { Refusal } from '../../../src/api/request/answers.js'
import {
  announcedTooLarge,
  MAX_BODY_BYTES,
  MAX_TOKEN_BODY_BYTES,
  readJsonObject,
} from '../../../src/api/request/body.js'
import { MAX_RECORD_BYTES } from '../../../src/relay/tokens/token-record.js'
import { createRequest, streamOf } from '../fixture.js'

const post = (body: unknown, headers: Record<string, string> = {}) => createRequest('POST', body, headers)
const bytes = (text: string) => new TextEncoder().encode(text)
const invalid = new Refusal(400, 'invalid request body')

/** A JSON object of exactly `length` bytes. */
const objectOf = (length: number) => `{"a":"${'x'.repeat(length - 8)}"}`

describe('announcedTooLarge', () => {
  it.each([
    ['0', false],
    [String(MAX_BODY_BYTES), false],
    [String(MAX_BODY_BYTES + 1), true],
    ['99999999999999999999999', true],
    ['nonsense', false],
  ])('judges a Content-Length of %s', (length, refused) => {
    expect(announcedTooLarge(post('{}', { 'content-length': length }))?.status).toBe(refused ? 413 : undefined)
  })

  it('says nothing without a Content-Length', () => {
    expect(announcedTooLarge(post('{}'))).toBeUndefined()
  })
})

describe('readJsonObject', () => {
  it('reads an object split at every byte', async () => {
    const text = '{"token":"é€😀"}'
    for (let cut = 0; cut <= bytes(text).byteLength; cut++) {
      const { stream } = streamOf([bytes(text).slice(0, cut), bytes(text).slice(cut)])
      expect(await readJsonObject(post(stream))).toEqual({ token: 'é€😀' })
    }
  })

  it('tells an empty body from a bad one', async () => {
    expect(await readJsonObject(post(undefined))).toBeUndefined()
    expect(await readJsonObject(post(''))).toBeUndefined()
    expect(await readJsonObject(post(streamOf([]).stream))).toBeUndefined()
    expect(await readJsonObject(post(' '))).toEqual(invalid)
  })

  it.each(['[]', '[{}]', 'null', '1', '"x"', 'true', '{', '{"a":1', '{"a":1}x', "{'a':1}", '{"a":NaN}', '\u0000'])(
    'refuses %j',
    async (text) => {
      expect(await readJsonObject(post(text))).toEqual(invalid)
    },
  )

  it('refuses bytes that are not UTF-8', async () => {
    const body = Uint8Array.from([...bytes('{"a":"'), 0xff, ...bytes('"}')])
    expect(await readJsonObject(post(body))).toEqual(invalid)
  })

  it('refuses nesting of any depth without failing', async () => {
    expect(await readJsonObject(post('['.repeat(MAX_BODY_BYTES)))).toEqual(invalid)
    expect(await readJsonObject(post('{"a":'.repeat(MAX_BODY_BYTES / 5)))).toEqual(invalid)
  })

  it('reads the largest body allowed and refuses one byte more', async () => {
    expect(await readJsonObject(post(objectOf(MAX_BODY_BYTES)))).toHaveProperty('a')
    expect(await readJsonObject(post(objectOf(MAX_BODY_BYTES + 1)))).toMatchObject({ status: 413 })
  })

  it('reads as much as the caller allows', async () => {
    expect(MAX_TOKEN_BODY_BYTES).toBe(MAX_RECORD_BYTES)
    expect(await readJsonObject(post(objectOf(MAX_TOKEN_BODY_BYTES)), MAX_TOKEN_BODY_BYTES)).toHaveProperty('a')
    const over = readJsonObject(post(objectOf(MAX_TOKEN_BODY_BYTES + 1)), MAX_TOKEN_BODY_BYTES)
    expect(await over).toMatchObject({ status: 413, error: 'request body is larger than 262144 bytes' })
  })

  it('stops reading and gives the body up at the limit, in one chunk or in many', async () => {
    for (const size of [1_000, 40_000, MAX_BODY_BYTES + 1]) {
      const { stream, seen } = streamOf([new Uint8Array(size)], true)
      expect(await readJsonObject(post(stream))).toMatchObject({ status: 413 })
      expect(seen).toEqual({ pulled: Math.floor(MAX_BODY_BYTES / size) + 1, cancelled: true })
    }
  })

  it('refuses a body that breaks off', async () => {
    const stream = new ReadableStream({ start: (controller) => controller.error(new Error('connection lost')) })
    expect(await readJsonObject(post(stream))).toEqual(invalid)
  })

  it('ends when the request is aborted while it waits for the body', async () => {
    const gone = new AbortController()
    const pending = new ReadableStream({ pull: () => gone.abort() }, { highWaterMark: 0 })
    const init = { method: 'POST', body: pending, duplex: 'half', signal: gone.signal }
    expect(await readJsonObject(new Request('http://relay.test/', init as RequestInit))).toEqual(invalid)
  })
})
