import { createPrivateKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { AcmeClient } from '../../../src/node/acme/acme-client.js'
import { AcmeProblem } from '../../../src/node/acme/acme-problem.js'
import { newAccountKey } from '../../../src/node/acme/certificate-request.js'
import { packageVersion } from '../../../src/node/system/package-version.js'
import { countListeners } from '../../support/count-listeners.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { until } from '../../support/wait.js'
import { BASE, DIRECTORY, FakeAuthority, type Hook, hang, json, problem } from './fake-authority.js'

async function setUp(hook?: Hook) {
  const clock = new ManualClock()
  const authority = await FakeAuthority.make(clock)
  if (hook !== undefined) authority.hook = hook
  const account = { key: createPrivateKey(await newAccountKey()), kid: undefined as string | undefined }
  const client = new AcmeClient({ directory: DIRECTORY, account, clock, fetch: authority.fetch })
  return { clock, authority, account, client }
}

async function registered(hook?: Hook) {
  const scene = await setUp()
  await scene.client.register(undefined, {})
  scene.authority.log.length = 0
  if (hook !== undefined) scene.authority.hook = hook
  return scene
}

/** What `work` is refused with. */
async function refusal(work: Promise<unknown>): Promise<AcmeProblem> {
  const thrown: unknown = await work.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  )
  expect(thrown).toBeInstanceOf(AcmeProblem)
  return thrown as AcmeProblem
}

describe('AcmeClient', () => {
  it('makes an account with its key and the terms accepted, and signs what follows as that account', async () => {
    const asked: object[] = []
    const { client, account, authority } = await setUp(({ path, payload, header }) => {
      if (payload !== undefined) asked.push({ path, payload, signer: Object.keys(header).at(-1) })
      return undefined
    })
    await client.register('a@relay.test', {})
    expect(account.kid).toMatch(/^https:\/\/ca\.test\/account\/[\da-f]{8}$/)
    const { body, location } = await client.newOrder('relay.test', {})
    expect({ body, location }).toMatchObject({ body: { status: 'pending' }, location: `${BASE}/order/0` })
    expect(asked).toEqual([
      { path: '/account', payload: { termsOfServiceAgreed: true, contact: ['mailto:a@relay.test'] }, signer: 'jwk' },
      { path: '/orders', payload: { identifiers: [{ type: 'dns', value: 'relay.test' }] }, signer: 'kid' },
    ])
    expect(authority.log).toEqual(['GET /directory', 'HEAD /nonce', 'POST /account', 'GET /directory', 'POST /orders'])
  })

  it('names nobody to write to unless told, and finds an account that is there by its key', async () => {
    const { client, account, authority } = await setUp(({ payload }) => {
      expect(payload ?? {}).not.toHaveProperty('contact')
      return undefined
    })
    await client.register(undefined, {})
    const first = account.kid
    await client.register(undefined, {})
    expect([account.kid, authority.accounts.size]).toEqual([first, 1])
  })

  it('says who asks, sends JOSE, and follows no redirect', async () => {
    const seen: RequestInit[] = []
    const { authority, account, clock } = await setUp()
    const fetch = (url: string, init: RequestInit): Promise<Response> => {
      seen.push(init)
      return authority.fetch(url, init)
    }
    await new AcmeClient({ directory: DIRECTORY, account, clock, fetch }).register(undefined, {})
    const agent = { 'User-Agent': `linksocks/${packageVersion()}` }
    const jose = { ...agent, 'Content-Type': 'application/jose+json' }
    expect(seen.map(({ headers }) => headers)).toEqual([agent, agent, jose])
    expect(new Set(seen.map(({ redirect }) => redirect))).toEqual(new Set(['error']))
  })

  it('uses each nonce once and the newest one, and asks for one where none came along', async () => {
    const { client, authority } = await registered(() => undefined)
    await client.request(`${BASE}/order/0`, undefined, {}).catch(() => {})
    expect(authority.log).toEqual(['POST /order/0'])
    authority.hook = ({ path }) => (path === '/x' ? json({}, { headers: { 'replay-nonce': '' } }) : undefined)
    await client.request(`${BASE}/x`, undefined, {})
    await client.request(`${BASE}/x`, undefined, {})
    expect(authority.log.slice(1)).toEqual(['POST /x', 'HEAD /nonce', 'POST /x'])
  })

  it.each(['', 'a b', 'ä', 'x'.repeat(513)])('takes %j for no nonce', async (nonce) => {
    const headers =
      nonce === 'ä' ? { 'replay-nonce': Buffer.from(nonce).toString('latin1') } : { 'replay-nonce': nonce }
    const { client } = await setUp(({ path }) => (path === '/nonce' ? new Response(null, { headers }) : undefined))
    expect((await refusal(client.register(undefined, {}))).message).toBe('the authority gives no nonce')
  })

  it.each([
    [7, true],
    [8, false],
  ])('sends a request again whose nonce was refused %i times in a row: %s', async (times, works) => {
    const { client, authority } = await setUp()
    let refused = 0
    authority.hook = ({ path }) => {
      if (path !== '/account' || refused === times) return undefined
      refused += 1
      return problem(400, 'badNonce')
    }
    const work = client.register(undefined, {})
    if (works) await work
    else expect((await refusal(work)).type).toBe('badNonce')
    expect(authority.log.filter((line) => line === 'POST /account')).toHaveLength(8)
    // each refusal brings the nonce for the next
    expect(authority.log.filter((line) => line === 'HEAD /nonce')).toHaveLength(1)
  })

  it('does not send again what was refused for another reason', async () => {
    const { client, authority } = await registered(() => problem(403, 'unauthorized'))
    const { type, message, isPassing } = await refusal(client.request(`${BASE}/x`, {}, {}))
    expect({ type, message, isPassing }).toEqual({
      ...{ type: 'unauthorized', isPassing: false },
      message: 'the authority answered 403: unauthorized: says unauthorized',
    })
    expect(authority.log).toEqual(['POST /x'])
  })
})

describe('AcmeClient and Retry-After', () => {
  const date = (ms: number): string => new Date(ms).toUTCString()
  // of the authority, whose calendar may be another
  const told = Date.UTC(2031, 4, 6)

  it.each<[string, Record<string, string>, number | undefined]>([
    ['seconds', { 'retry-after': '120' }, 120_000],
    ['none', {}, undefined],
    ['zero', { 'retry-after': '0' }, 0],
    ['a week', { 'retry-after': '604800' }, 604_800_000],
    ['more than a week', { 'retry-after': '999999999' }, 604_800_000],
    ['a date', { 'retry-after': date(told + 90_000), date: date(told) }, 90_000],
    ['a date that is over', { 'retry-after': date(told - 90_000), date: date(told) }, 0],
    ['a date far away', { 'retry-after': date(told * 2), date: date(told) }, 604_800_000],
    ['nonsense', { 'retry-after': 'soon' }, undefined],
    ['a number that is too long', { 'retry-after': '9'.repeat(40) }, undefined],
    ['a negative number', { 'retry-after': '-5', date: 'x' }, 0],
  ])('reads %s', async (what, headers, expected) => {
    const { client, authority } = await registered()
    authority.hook = () => problem(429, 'rateLimited', headers)
    const { type, retryAfterMs } = await refusal(client.newOrder('relay.test', {}))
    expect(type).toBe('rateLimited')
    expect(retryAfterMs, what).toBe(expected)
    authority.hook = () => json({}, { headers })
    expect((await client.request(`${BASE}/x`, undefined, {})).retryAfterMs).toBe(expected)
  })

  it('counts a date from this machine’s time where the authority does not tell its own', async () => {
    const { client } = await registered(() =>
      problem(503, 'serverInternal', { 'retry-after': date(Date.now() + 3_600_000) }),
    )
    const { retryAfterMs = 0, isPassing } = await refusal(client.request(`${BASE}/x`, {}, {}))
    expect(retryAfterMs).toBeGreaterThan(1_800_000)
    expect(retryAfterMs).toBeLessThanOrEqual(3_600_000)
    expect(isPassing).toBe(true)
  })
})

describe('AcmeClient and an authority that answers nonsense', () => {
  const directory = { newNonce: `${BASE}/nonce`, newAccount: `${BASE}/account`, newOrder: `${BASE}/orders` }
  const html = (): Response => new Response('<html>', { headers: { 'content-type': 'text/html' } })
  const without = (name: keyof typeof directory): object => ({ ...directory, [name]: undefined })
  const noDirectory = 'there is no ACME directory at that URL'

  it.each<[string, () => Response, string]>([
    ['HTML', html, noDirectory],
    ['broken JSON', () => new Response('{', { headers: { 'content-type': 'application/json' } }), noDirectory],
    ['null', () => json(null), noDirectory],
    ['a list', () => json([]), noDirectory],
    ['a directory without newNonce', () => json(without('newNonce')), noDirectory],
    ['a directory without newAccount', () => json(without('newAccount')), noDirectory],
    ['a directory without newOrder', () => json({ ...directory, newOrder: 7 }), noDirectory],
    [
      'a URL without TLS',
      () => json({ ...directory, newNonce: 'http://ca.test/nonce' }),
      'the authority names a URL without TLS',
    ],
    ['no URL', () => json({ ...directory, newNonce: '/nonce' }), 'the authority names a URL without TLS'],
    [
      'a directory for accounts that are made by hand',
      () => json({ ...directory, meta: { externalAccountRequired: true } }),
      'the authority gives accounts by hand only (external account binding)',
    ],
    [
      'a status without a reason',
      () => new Response('no\u001b', { status: 404 }),
      'the authority answered 404: no reason given',
    ],
    ['too much', () => new Response('x'.repeat((1 << 20) + 1)), 'the answer of the authority is too long'],
  ])('refuses %s', async (_what, answer, message) => {
    const { client } = await setUp(({ path }) => (path === '/directory' ? answer() : undefined))
    expect((await refusal(client.register(undefined, {}))).message).toBe(message)
  })

  it('reads a directory that says what it needs not, in JSON by any spelling of its type, up to 1 MiB', async () => {
    const meta = { externalAccountRequired: false, termsOfService: 'x'.repeat((1 << 20) - 300) }
    const answer = (): Response =>
      json({ ...directory, meta }, { headers: { 'content-type': 'Application/JSON; charset=utf-8' } })
    const { client, account } = await setUp(({ path }) => (path === '/directory' ? answer() : undefined))
    await client.register(undefined, {})
    expect(account.kid).toBeDefined()
  })

  it('stops reading an answer that is too long', async () => {
    let pulled = 0
    let isCancelled = false
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled += 1
        controller.enqueue(new Uint8Array(1 << 16))
      },
      cancel: () => {
        isCancelled = true
      },
    })
    const { client } = await setUp(() => new Response(endless))
    expect((await refusal(client.register(undefined, {}))).message).toBe('the answer of the authority is too long')
    expect(isCancelled).toBe(true)
    expect(pulled).toBeLessThan(24)
  })

  it('refuses an account without a URL', async () => {
    const { client } = await setUp(({ path }) => (path === '/account' ? json({ status: 'valid' }) : undefined))
    expect((await refusal(client.register(undefined, {}))).message).toBe('the authority made an account without a URL')
  })

  it('reads the directory again for the next order, and finds what has moved', async () => {
    const { client, authority } = await registered()
    authority.hook = ({ path }) => {
      if (path === '/directory') return json({ ...directory, newOrder: `${BASE}/moved` })
      return path === '/moved' ? json({ moved: true }) : undefined
    }
    expect((await client.newOrder('relay.test', {})).body).toEqual({ moved: true })
  })
})

describe('AcmeClient and a line that fails', () => {
  const failing = (thrown: unknown) => async (): Promise<never> => {
    throw thrown
  }
  const fetchFailed = (cause: unknown): TypeError => new TypeError('fetch failed', { cause })
  const withCode = (code: string): Error => Object.assign(new Error('at 10.0.0.1'), { code })

  it.each<[string, unknown, RegExp]>([
    ['no route', fetchFailed(withCode('ECONNREFUSED')), /^cannot reach the authority at ca\.test: ECONNREFUSED$/],
    ['a redirect', fetchFailed(new Error('unexpected redirect')), /ca\.test: unexpected redirect$/],
    [
      'an unknown authority',
      fetchFailed(withCode('SELF_SIGNED_CERT_IN_CHAIN')),
      /not trusted \(SELF_SIGNED_CERT_IN_CHAIN\); NODE_EXTRA_CA_CERTS/,
    ],
    ['an unknown one', fetchFailed(withCode('UNABLE_TO_VERIFY_LEAF_SIGNATURE')), /NODE_EXTRA_CA_CERTS names the file/],
    ['something else', new Error('odd'), /ca\.test: odd$/],
    ['nothing at all', undefined, /ca\.test: failed$/],
  ])('names %s', async (_what, thrown, message) => {
    const { client } = await setUp(failing(thrown))
    const refused = await refusal(client.register(undefined, {}))
    expect(refused.message).toMatch(message)
    expect(refused.isPassing).toBe(true)
  })

  it('waits 30 s for an answer and no longer, and leaves no timer behind', async () => {
    const { client, clock } = await setUp(hang)
    const work = refusal(client.register(undefined, {}))
    await settle()
    clock.advance(29_999)
    await settle()
    expect(clock.pending).toBe(1)
    clock.advance(1)
    expect((await work).message).toBe('cannot reach the authority at ca.test: no answer within 30 s')
    expect(clock.pending).toBe(0)
  })

  it.each<[string, () => Promise<Response>]>([
    ['an answer', () => new Promise(() => {})],
    ['the rest of an answer', async () => new Response(new ReadableStream({}))],
  ])('waits no longer for %s that does not hear of the abort', async (_what, answer) => {
    const { account, clock } = await setUp()
    const client = new AcmeClient({ directory: DIRECTORY, account, clock, fetch: answer })
    const controller = new AbortController()
    const reason = new LinkSocksError('ERR_CANCELLED', 'enough')
    const work = client.register(undefined, { signal: controller.signal })
    await settle()
    controller.abort(reason)
    await expect(work).rejects.toBe(reason)
    expect(clock.pending).toBe(0)
  })

  it.each(['/directory', '/nonce', '/account'])(
    'ends with the reason of its signal while it waits for %s',
    async (where) => {
      const { client, clock, authority } = await setUp((asked) => (asked.path === where ? hang(asked) : undefined))
      const controller = new AbortController()
      const listeners = countListeners(controller.signal)
      const reason = new LinkSocksError('ERR_CANCELLED', 'enough')
      const { signal } = controller
      const work = client.register(undefined, { signal })
      await until(() => authority.log.some((line) => line.endsWith(where)))
      controller.abort(reason)
      await expect(work).rejects.toBe(reason)
      await expect(client.register(undefined, { signal })).rejects.toBe(reason)
      expect([clock.pending, listeners()]).toEqual([0, 0])
    },
  )

  it('leaves neither timer nor listener behind when all goes well', async () => {
    const { client, clock } = await setUp()
    const { signal } = new AbortController()
    const listeners = countListeners(signal)
    await client.register(undefined, { signal })
    expect([clock.pending, listeners()]).toEqual([0, 0])
  })
})
