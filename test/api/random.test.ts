import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { failureSchema } from '../../src/api/request/answers.js'
import { codePoint } from '../support/code-point.js'
import { createFixture, createRequest, expectJson, KEY } from './fixture.js'

describe('random requests', () => {
  const value = fc.oneof(
    fc.string({ unit: codePoint }),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.jsonValue({ stringUnit: codePoint }),
  )
  const field = fc.constantFrom(
    'type',
    'token',
    'port',
    'username',
    'password',
    'reverse_token',
    'allow_manage_connector',
    'policy',
    '__proto__',
  )
  const type = fc.constantFrom('forward', 'reverse', 'connector')
  const fields = fc.array(fc.tuple(field, value)).map((entries) => Object.fromEntries(entries))
  const json = fc.oneof(
    fields,
    fc.tuple(type, fields).map(([type, rest]) => ({ ...rest, type })),
    fc.jsonValue({ stringUnit: codePoint }),
  )
  const body = fc.oneof(
    json.map((value) => JSON.stringify(value)),
    fc.string(),
    fc.uint8Array(),
  )
  const segment = fc.oneof(
    fc.constantFrom('/', 'api', 'token', 'status', '%', '%2e', '..', '?', '#', '\\'),
    fc.string(),
  )
  const path = fc.oneof(
    fc.array(segment).map((parts) => parts.join('')),
    fc.constantFrom('/', '/api/token', '/api/status'),
    fc.string({ unit: codePoint }).map((tail) => `/api/token/${tail}`),
  )
  const method = fc.constantFrom('POST', 'DELETE', 'PUT', 'OPTIONS')

  it('never fail: each gets an answer below 500, errors in the error form', async () => {
    const { handle } = createFixture()
    await fc.assert(
      fc.asyncProperty(method, path, body, async (method, rawPath, body) => {
        const request = createRequest(method, body, { 'x-api-key': KEY })
        const response = await handle(request, { rawPath, remoteAddress: '::1' })
        expect(response.status).toBeLessThan(500)
        if (response.status >= 400) expect(v.is(failureSchema, await expectJson(response))).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })

  it('reach the admin only as what its contract allows', async () => {
    const text = (value: string | undefined, least: number) => {
      if (value === undefined) return
      expect(Buffer.from(value).toString()).toBe(value)
      expect(Buffer.byteLength(value)).toBeGreaterThanOrEqual(least)
      expect(Buffer.byteLength(value)).toBeLessThanOrEqual(255)
    }
    const { call, admin } = createFixture()
    await fc.assert(
      fc.asyncProperty(type, fields, async (type, rest) => {
        admin.added.length = 0
        const { status } = await call('POST', '/api/token', { ...rest, type })
        expect(admin.added).toHaveLength(status === 200 ? 1 : 0)
        for (const spec of admin.added) {
          text(spec.token, 1)
          expect(spec.token ?? '').not.toMatch(/\p{Cc}/u)
          if (spec.type === 'connector') text(spec.reverseToken, 1)
          if (spec.type !== 'reverse') continue
          text(spec.username, 1)
          text(spec.password, 1)
          expect(spec.username === undefined).toBe(spec.password === undefined)
          expect([undefined, true, false]).toContain(spec.allowManageConnector)
          if (spec.port !== undefined)
            expect(spec.port >= 1 && spec.port <= 65_535 && Number.isInteger(spec.port)).toBe(true)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
