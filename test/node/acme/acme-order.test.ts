import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { AcmeClient } from '../../../src/node/acme/acme-client.js'
import { type Challenges, type ChallengeType, orderCertificate } from '../../../src/node/acme/acme-order.js'
import { AcmeProblem } from '../../../src/node/acme/acme-problem.js'
import { newAccountKey, requestCertificate } from '../../../src/node/acme/certificate-request.js'
import { keyAuthorization } from '../../../src/node/acme/jws.js'
import { countListeners } from '../../support/count-listeners.js'
import { ManualClock } from '../../support/manual-clock.js'
import { until } from '../../support/wait.js'
import { BASE, chainAnswer, DIRECTORY, FakeAuthority, type Hook, hang, json, problem } from './fake-authority.js'

const NAME = 'relay.test'

async function setUp(hook?: Hook) {
  const clock = new ManualClock()
  const authority = await FakeAuthority.make(clock)
  const account = { key: createPrivateKey(await newAccountKey()), kid: undefined as string | undefined }
  const client = new AcmeClient({ directory: DIRECTORY, account, clock, fetch: authority.fetch })
  await client.register(undefined, {})
  authority.log.length = 0
  if (hook !== undefined) authority.hook = hook
  const answers = new Set<string>()
  const asked: [ChallengeType, string, string][] = []
  const challenges: Challenges = {
    answer: async (type, domain, challenge) => {
      asked.push([type, domain, challenge.keyAuthorization])
      answers.add(challenge.token)
      return () => void answers.delete(challenge.token)
    },
  }
  const order = (type: ChallengeType = 'tls-alpn-01', signal?: AbortSignal) =>
    orderCertificate(NAME, { client, clock, challenges, type, signal })
  /** What the order is refused with; no answer and no timer are left then. */
  const refusal = async (type?: ChallengeType): Promise<AcmeProblem> => {
    const thrown: unknown = await authority.drive(
      order(type).then(
        () => new Error('it was not refused'),
        (reason: unknown) => reason,
      ),
    )
    expect(thrown).toBeInstanceOf(AcmeProblem)
    expect([answers.size, clock.pending]).toEqual([0, 0])
    return thrown as AcmeProblem
  }
  return { clock, authority, account, client, answers, asked, order, refusal, challenges }
}

describe('orderCertificate()', () => {
  it('gets a certificate for the name and a key of its own, and withdraws its answer', async () => {
    const { authority, account, answers, asked, order, clock } = await setUp()
    const { leaf, key, chain } = await authority.drive(order())
    expect(leaf.checkHost(NAME)).toBe(NAME)
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true)
    expect(new X509Certificate(chain).fingerprint256).toBe(leaf.fingerprint256)
    expect(leaf.checkPrivateKey(account.key)).toBe(false)
    expect(asked).toEqual([['tls-alpn-01', NAME, keyAuthorization(account.key, 'token-0')]])
    expect([answers.size, clock.pending]).toEqual([0, 0])
  })

  it('asks in the order of RFC 8555 section 7.4: reads by POST, and finalizes what is ready', async () => {
    const { authority, order, clock } = await setUp()
    authority.takesTime = true
    await authority.drive(order('http-01'))
    expect(clock.now()).toBe(500)
    expect(authority.log).toEqual([
      'GET /directory',
      'POST /orders',
      'POST /authorization/0',
      'POST /challenge/0/http-01',
      'POST /authorization/0',
      'POST /order/0',
      'POST /finalize/0',
      'POST /order/0',
      'POST /certificate/0',
    ])
  })

  it('takes the certificate at once when it is there at once', async () => {
    const { authority, order, clock } = await setUp()
    await authority.drive(order('http-01'))
    expect(clock.now()).toBe(0)
    expect(authority.log.slice(-2)).toEqual(['POST /finalize/0', 'POST /certificate/0'])
  })

  it('answers before it asks to look', async () => {
    const { authority, answers, order } = await setUp()
    const seen: number[] = []
    authority.hook = ({ path }) => {
      if (path.startsWith('/challenge')) seen.push(answers.size)
      return undefined
    }
    await authority.drive(order())
    expect(seen).toEqual([1])
  })

  it('answers nothing where the authority has validated the name before', async () => {
    const { authority, asked, order } = await setUp()
    authority.reuses = true
    await authority.drive(order())
    authority.log.length = 0
    await authority.drive(order())
    expect(asked).toHaveLength(1)
    expect(authority.log.filter((line) => line.includes('challenge'))).toEqual([])
    expect(authority.issued).toBe(2)
  })

  it('says why the name could not be validated', async () => {
    const { authority, refusal } = await setUp()
    authority.refuses = () => 'no route\u001b'
    const { message, isValidation } = await refusal('http-01')
    expect({ message, isValidation }).toEqual({
      ...{ isValidation: true },
      message: `the authority could not validate ${NAME} by http-01: connection: no route\\u{1b}`,
    })
  })

  it('says that the authority validates in another way', async () => {
    const { authority, refusal, asked } = await setUp()
    authority.types = ['dns-01', 'http-01']
    const { message, isValidation } = await refusal('tls-alpn-01')
    expect({ message, isValidation }).toEqual({
      ...{ isValidation: true, message: `the authority does not validate ${NAME} by tls-alpn-01` },
    })
    expect(asked).toEqual([])
  })

  it.each(['invalid', 'expired', 'revoked', 'deactivated', 'odd\u202e'])(
    'answers nothing for an authorization that is %s',
    async (status) => {
      const { refusal, asked } = await setUp(({ path }) =>
        path.startsWith('/authorization') ? json({ status, challenges: [] }) : undefined,
      )
      const { message } = await refusal()
      expect(message).toBe(
        `the authority could not validate ${NAME} by tls-alpn-01: it is ${status.replace('\u202e', '\\u{202e}')}`,
      )
      expect(asked).toEqual([])
    },
  )

  it('withdraws its answer when the request to look fails', async () => {
    const { refusal, asked } = await setUp(({ path }) =>
      path.startsWith('/challenge') ? problem(400, 'malformed') : undefined,
    )
    expect((await refusal()).type).toBe('malformed')
    expect(asked).toHaveLength(1)
  })

  it('is refused with the reason that an answer can not be given', async () => {
    const { client, clock } = await setUp()
    const reason = new Error('no room')
    const challenges: Challenges = { answer: () => Promise.reject(reason) }
    await expect(orderCertificate(NAME, { client, clock, challenges, type: 'http-01' })).rejects.toBe(reason)
    expect(clock.pending).toBe(0)
  })
})

describe('orderCertificate() and an authority that takes its time', () => {
  /** Lets a look at the order find `status` at first, and tells when each look came. */
  async function looking(answer: () => Response, where = '/order/0', after = '/finalize/0') {
    const times: number[] = []
    const scene = await setUp()
    scene.authority.takesTime = true
    scene.authority.hook = ({ path }) => {
      if (path !== where || !scene.authority.log.includes(`POST ${after}`)) return undefined
      times.push(scene.clock.now())
      return answer()
    }
    return { ...scene, times }
  }
  const processing = (headers: Record<string, string> = {}): Response =>
    json({ status: 'processing', authorizations: [], finalize: `${BASE}/finalize/0` }, { headers })
  const gaps = (times: readonly number[]): number[] => times.slice(1).map((time, index) => time - (times[index] ?? 0))

  it('looks less and less often, and gives up after 3 minutes', async () => {
    const { refusal, times } = await looking(processing)
    expect((await refusal()).message).toBe('the authority did not finish the certificate within 3 min')
    expect(gaps(times).slice(0, 6)).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBe(179_500)
  })

  it('gives up a validation that does not end, by the same limit', async () => {
    const pending = (): Response => json({ status: 'pending', challenges: [] })
    const { refusal } = await looking(pending, '/authorization/0', '/challenge/0/tls-alpn-01')
    expect((await refusal()).message).toBe('the authority did not finish the validation within 3 min')
  })

  it('looks as often as the authority wants, be it seldom', async () => {
    const { refusal, times } = await looking(() => processing({ 'retry-after': '50' }))
    await refusal()
    expect(gaps(times)).toEqual([50_000, 50_000, 50_000, 29_500])
  })

  it('waits before its first look for as long as the answer to its request says', async () => {
    const { authority, order, clock } = await setUp()
    authority.takesTime = true
    authority.finalizing = { 'retry-after': '20' }
    await authority.drive(order())
    expect(clock.now()).toBe(20_000)
  })

  it('does not look without a pause, though the authority says so', async () => {
    const { refusal, times } = await looking(() => processing({ 'retry-after': '0' }))
    await refusal()
    expect(times).toHaveLength(360)
    expect(Math.min(...gaps(times))).toBe(500)
  })

  it.each<[string, () => Response]>([
    ['503', () => problem(503, 'serverInternal', { 'retry-after': '20' })],
    ['502 of a proxy', () => new Response('<html>', { status: 502 })],
  ])('looks again after a %s', async (_what, answer) => {
    let failures = 0
    const { authority, order } = await setUp(({ path }) => {
      if (path !== '/authorization/0' || !authority.log.some((line) => line.includes('/challenge')) || failures === 3)
        return undefined
      failures += 1
      return answer()
    })
    await authority.drive(order())
    expect([failures, authority.issued]).toEqual([3, 1])
  })

  it('looks again after a line that broke, and says so at last if it stays so', async () => {
    let broken = 0
    const { authority, order, refusal } = await setUp()
    authority.hook = ({ path }) => {
      if (path !== '/order/0' || broken === 2) return undefined
      broken += 1
      throw new TypeError('fetch failed', { cause: new Error('other side closed') })
    }
    await authority.drive(order())
    authority.hook = ({ path }) => {
      if (path !== '/order/1') return undefined
      throw new TypeError('fetch failed', { cause: new Error('other side closed') })
    }
    expect((await refusal()).message).toBe('cannot reach the authority at ca.test: other side closed')
  })

  it('does not look again after a refusal', async () => {
    const { refusal, authority } = await setUp(({ path }) =>
      path === '/order/0' ? problem(429, 'rateLimited', { 'retry-after': '60' }) : undefined,
    )
    const { type, retryAfterMs } = await refusal()
    expect({ type, retryAfterMs }).toEqual({ type: 'rateLimited', retryAfterMs: 60_000 })
    expect(authority.log.filter((line) => line.endsWith('/order/0'))).toHaveLength(1)
  })

  it.each([
    [3, true],
    [4, false],
  ])('looks at the order again %i times when it was not ready after all: %s', async (times, works) => {
    let refused = 0
    const { authority, order, refusal } = await setUp(({ path }) => {
      if (path !== '/finalize/0' || refused === times) return undefined
      refused += 1
      return problem(403, 'orderNotReady')
    })
    if (works) await authority.drive(order())
    else expect((await refusal()).type).toBe('orderNotReady')
    expect(authority.log.filter((line) => line === 'POST /finalize/0')).toHaveLength(4)
  })

  it.each(['invalid', 'valid', 'processing', 'odd'])('does not finalize an order that is %s', async (status) => {
    const error = { type: 'urn:ietf:params:acme:error:caa', detail: 'not by me' }
    const { refusal, authority } = await setUp(({ path }) =>
      path === '/order/0' ? json({ status, authorizations: [], finalize: `${BASE}/finalize/0`, error }) : undefined,
    )
    expect((await refusal()).message).toBe('the authority did not issue the certificate: caa: not by me')
    expect(authority.log).not.toContain('POST /finalize/0')
  })

  it('says why an order became invalid after it was finalized', async () => {
    const { refusal } = await looking(() =>
      json({ status: 'invalid', authorizations: [], finalize: `${BASE}/finalize/0`, error: { detail: 'bad CSR' } }),
    )
    expect((await refusal()).message).toBe('the authority did not issue the certificate: bad CSR')
  })
})

describe('orderCertificate() and what it does not take', () => {
  const authorization = (challenges: unknown): Response => json({ status: 'pending', challenges })
  const nonsense = 'the answer of the authority is not what RFC 8555 says'
  const sound = { type: 'tls-alpn-01', url: `${BASE}/challenge/0`, token: 'abc' }
  const location = { location: `${BASE}/order/0` }
  const order = { status: 'pending', authorizations: [`${BASE}/authorization/0`], finalize: `${BASE}/finalize/0` }

  it.each<[string, string, () => Response, string]>([
    ['an order without a URL', '/orders', () => json(order), 'the authority took an order without giving its URL'],
    ['an order that is HTML', '/orders', () => new Response('<p>', { headers: location }), nonsense],
    [
      'an order without authorizations',
      '/orders',
      () => json({ ...order, authorizations: 'x' }, { headers: location }),
      nonsense,
    ],
    ['an order without finalize', '/orders', () => json({ ...order, finalize: null }, { headers: location }), nonsense],
    [
      'an authorization at no URL',
      '/orders',
      () => json({ ...order, authorizations: [{}] }, { headers: location }),
      'the authority names a URL without TLS',
    ],
    [
      'an authorization at http',
      '/orders',
      () => json({ ...order, authorizations: ['http://ca.test/a'] }, { headers: location }),
      'the authority names a URL without TLS',
    ],
    ['no authorization', '/authorization/0', () => json(null), nonsense],
    ['an authorization without challenges', '/authorization/0', () => json({ status: 'pending' }), nonsense],
    ['a status that is none', '/authorization/0', () => json({ status: 1, challenges: [] }), nonsense],
    [
      'challenges that are none',
      '/authorization/0',
      () => authorization([null, 1, 'x', {}]),
      `the authority does not validate ${NAME} by tls-alpn-01`,
    ],
    [
      'a token with a path',
      '/authorization/0',
      () => authorization([{ ...sound, token: '../x' }]),
      `the authority does not validate ${NAME} by tls-alpn-01`,
    ],
    [
      'an empty token',
      '/authorization/0',
      () => authorization([{ ...sound, token: '' }]),
      `the authority does not validate ${NAME} by tls-alpn-01`,
    ],
    [
      'a token that is too long',
      '/authorization/0',
      () => authorization([{ ...sound, token: 'x'.repeat(513) }]),
      `the authority does not validate ${NAME} by tls-alpn-01`,
    ],
    [
      'more challenges than it reads',
      '/authorization/0',
      () => authorization([...Array.from({ length: 16 }, () => ({})), sound]),
      `the authority does not validate ${NAME} by tls-alpn-01`,
    ],
    [
      'a challenge at no URL',
      '/authorization/0',
      () => authorization([{ ...sound, url: 'x' }]),
      'the authority names a URL without TLS',
    ],
    [
      'no certificate',
      '/certificate/0',
      () => chainAnswer(''),
      'the authority sent a certificate that can not be used',
    ],
    [
      'JSON for a certificate',
      '/certificate/0',
      () => json({}),
      'the authority sent a certificate that can not be used',
    ],
    [
      'garbage in PEM',
      '/certificate/0',
      () => chainAnswer('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
      'the authority sent a certificate that can not be used',
    ],
    [
      'a chain that is too long',
      '/certificate/0',
      () => chainAnswer('\n'.repeat((256 << 10) + 1)),
      'the certificate of the authority is too long',
    ],
  ])('refuses %s', async (_what, where, answer, message) => {
    const { refusal } = await setUp(({ path }) => (path === where ? answer() : undefined))
    expect((await refusal()).message).toBe(message)
  })

  it('refuses a certificate for another name', async () => {
    const { authority, refusal } = await setUp()
    authority.issuesFor = 'other.test'
    expect((await refusal()).message).toBe('the authority sent a certificate for another name')
  })

  it('refuses a certificate for another key, and says nothing of either', async () => {
    const { authority, refusal } = await setUp()
    const chain = await authority.issue((await requestCertificate(NAME)).csr, NAME)
    authority.hook = ({ path }) => (path === '/certificate/0' ? chainAnswer(chain) : undefined)
    const { message, cause } = await refusal()
    expect(message).toBe('the authority sent a certificate that can not be used')
    expect(String(cause)).not.toContain('-----')
  })

  it('refuses a certificate that ends before it begins, which would be renewed at once', async () => {
    const { authority, refusal } = await setUp()
    authority.lifeMs = -1_000
    expect((await refusal()).message).toBe('the authority sent a certificate that is never good')
  })

  it('refuses a certificate whose times are no times', async () => {
    const { authority, refusal } = await setUp()
    authority.hook = async ({ path, payload }) => {
      if (path === '/certificate/0') return chainAnswer(broken)
      if (path !== '/finalize/0') return undefined
      const chain = await authority.issue(Buffer.from(String(payload?.csr), 'base64url'), NAME)
      // month 99, in UTCTime
      const der = Buffer.from(new X509Certificate(chain).raw)
      const at = der.indexOf(Buffer.from([0x17, 13]))
      der.write('269999000000Z', at + 2, 'latin1')
      broken = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
      return undefined
    }
    let broken = ''
    expect((await refusal()).message).toMatch(/never good|can not be used/)
  })
})

describe('orderCertificate() that is cancelled', () => {
  /** Where it may be when it is. */
  const REQUESTS = 8

  it.each(Array.from({ length: REQUESTS }, (_, index) => index))(
    'during request %i ends with the reason and leaves nothing behind',
    async (index) => {
      const { authority, order, answers, clock } = await setUp()
      authority.hook = (asked) => (authority.log.length === index + 1 ? hang(asked) : undefined)
      const controller = new AbortController()
      const listeners = countListeners(controller.signal)
      const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'closed')
      const work = order('tls-alpn-01', controller.signal)
      await until(() => authority.log.length === index + 1)
      controller.abort(reason)
      await expect(work).rejects.toBe(reason)
      expect([answers.size, clock.pending, listeners(), authority.log.length]).toEqual([0, 0, 0, index + 1])
    },
  )

  it('during a pause ends with the reason and leaves nothing behind', async () => {
    const { authority, order, answers, clock } = await setUp(({ path }) =>
      path === '/authorization/0'
        ? json({ status: 'pending', challenges: [{ type: 'http-01', url: `${BASE}/challenge/0/http-01`, token: 'a' }] })
        : undefined,
    )
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'closed')
    const work = order('http-01', controller.signal)
    await until(() => authority.log.length === 5 && authority.busy === 0 && listeners() === 1)
    expect(answers.size).toBe(1)
    controller.abort(reason)
    await expect(work).rejects.toBe(reason)
    expect([answers.size, clock.pending, listeners()]).toEqual([0, 0, 0])
  })

  it('before it begins asks nothing', async () => {
    const { authority, order } = await setUp()
    const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'closed')
    await expect(order('http-01', AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(authority.log).toEqual([])
  })
})
