import { describe, expect, it } from 'vitest'
import { FailedAttempts, MAX_FAILURES } from '../../../src/inbound/failed-attempts.js'
import { login } from '../../socks/fixture.js'
import { ManualClock } from '../../support/manual-clock.js'
import { hex } from '../../support/test-peer.js'
import { MemoryProxy } from './memory-proxy.js'
import { message } from './messages.js'

const USER = { username: 'us\xe9r', password: 'pa:ss w\u{1f512}rd' }
const basic = (text: string): string => `Proxy-Authorization: Basic ${Buffer.from(text).toString('base64')}`
const RIGHT = basic(`${USER.username}:${USER.password}`)
const WRONG = basic('user:wrong')

/** Each way of asking for something, by its name. */
const WAYS: Readonly<Record<string, (...fields: string[]) => string>> = {
  CONNECT: (...fields) => message(['CONNECT a.test:80 HTTP/1.1', 'Host: a', ...fields]),
  'absolute form': (...fields) => message(['GET http://a.test/ HTTP/1.1', 'Host: a', ...fields]),
  upgrade: (...fields) =>
    message(['GET http://a.test/ HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket', ...fields]),
}

/** A port with a password, whose clients all come from one address. */
function port() {
  const clock = new ManualClock()
  const attempts = new FailedAttempts(clock)
  const open = (): MemoryProxy =>
    new MemoryProxy({ credentials: USER, clock, unauthorized: () => attempts.note('192.0.2.7', 'socks') })
  const ask = async (request: string): Promise<MemoryProxy> => {
    const proxy = open()
    await proxy.send(request)
    return proxy
  }
  return { clock, attempts, open, ask }
}

describe.each(Object.entries(WAYS))('%s on a port with a password', (_, request) => {
  it('is asked for it, which counts as no failure', async () => {
    const { ask, attempts } = port()
    const proxy = await ask(request())
    expect(proxy.answer).toMatch(/^HTTP\/1\.1 407 Proxy Authentication Required\r\n/)
    expect(proxy.answer).toContain('\r\nProxy-Authenticate: Basic realm="LinkSocks", charset="UTF-8"\r\n')
    expect(proxy.dialled).toEqual([])
    expect(attempts.counts.socks).toBe(0)
    await proxy.end()
  })

  it.each([
    ['in UTF-8, with a colon in it', RIGHT],
    ['with the scheme in small letters', RIGHT.replace('Basic', 'basic')],
    ['after several spaces', RIGHT.replace('Basic ', 'Basic   ')],
    ['without padding', RIGHT.replaceAll('=', '')],
  ])('is admitted with the right one %s', async (_name, field) => {
    const { ask, attempts } = port()
    const proxy = await ask(request(field))
    expect(proxy.dialled).toEqual(['a.test:80'])
    expect(proxy.origin().latin1).not.toContain('Authorization')
    expect(attempts.counts.socks).toBe(0)
    await proxy.end()
  })

  it.each([
    ['a wrong password', [WRONG]],
    ['a wrong name', [basic(`other:${USER.password}`)]],
    ['no colon', [basic(USER.username)]],
    ['nothing', ['Proxy-Authorization:']],
    ['no credentials', ['Proxy-Authorization: Basic']],
    ['what is no base64', ['Proxy-Authorization: Basic !!!']],
    ['two words', [`${RIGHT} more`]],
    ['Latin-1', [`Proxy-Authorization: Basic ${Buffer.from(`${USER.username}:x`, 'latin1').toString('base64')}`]],
    ['another scheme', ['Proxy-Authorization: Bearer abc']],
    ['two fields, the first right', [RIGHT, WRONG]],
    ['two fields, the last right', [WRONG, RIGHT]],
    ['two fields of two schemes', ['Proxy-Authorization: Negotiate abc', RIGHT]],
    ['two schemes in one field', [`${RIGHT}, Negotiate abc`]],
    ['Authorization, which is for the origin', [RIGHT.replace('Proxy-', ''), WRONG]],
  ])('is refused with %s', async (_name, fields) => {
    const { ask, attempts } = port()
    const proxy = await ask(request(...fields))
    expect(proxy.answer).toMatch(/^HTTP\/1\.1 407 /)
    expect(proxy.dialled).toEqual([])
    expect(attempts.counts.socks).toBe(1)
    expect(JSON.stringify(proxy.log.entries)).not.toMatch(/Basic|Negotiate|dXP/)
    await proxy.end()
  })

  it('waits longer for each wrong password beyond ten, and hears 429 beyond sixty', async () => {
    const { clock, attempts, ask } = port()
    for (let i = 0; i < 10; i += 1) attempts.note('192.0.2.7', 'socks')
    const slow = await ask(request(WRONG))
    expect(slow.answer).toBe('')
    await clock.advanceAsync(250)
    await slow.quiet()
    expect(slow.answer).toMatch(/^HTTP\/1\.1 407 /)
    for (let i = 0; i < MAX_FAILURES; i += 1) attempts.note('192.0.2.7', 'socks')
    const refused = await ask(request(WRONG))
    await clock.advanceAsync(3_000)
    await refused.quiet()
    expect(refused.answer).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/)
    expect(refused.answer).toContain('\r\nRetry-After: 6\r\n')
    const right = await ask(request(RIGHT))
    expect(right.dialled).toEqual(['a.test:80'])
    await right.end()
  })

  it('may be given up while its answer is held back', async () => {
    const { clock, attempts, ask } = port()
    for (let i = 0; i < 20; i += 1) attempts.note('192.0.2.7', 'socks')
    const proxy = await ask(request(WRONG))
    await proxy.end()
    await clock.advanceAsync(3_000)
    await proxy.quiet()
    expect(proxy.finished).toBe(true)
    expect(clock.pending).toBe(0)
  })
})

describe('a client that was asked for a password', () => {
  it('may give it on the same connection', async () => {
    const { open } = port()
    const proxy = open()
    const { 'absolute form': get = () => '' } = WAYS
    await proxy.send(get())
    await proxy.send(get(RIGHT))
    expect(proxy.dialled).toEqual(['a.test:80'])
    await proxy.end()
  })

  it('ends with the answer when the body of its request has not come', async () => {
    const { ask } = port()
    const proxy = await ask(message(['POST http://a.test/ HTTP/1.1', 'Host: a', 'Content-Length: 9'], 'half'))
    expect(proxy.answer).toMatch(/^HTTP\/1\.1 407 [\s\S]*\r\nConnection: close\r\n/)
    expect(proxy.client.state).toBe('ended')
  })

  it('learns nothing of targets before', async () => {
    const { ask } = port()
    for (const target of ['http://', 'https://a/', 'ftp://x/']) {
      const proxy = await ask(message([`GET ${target} HTTP/1.1`, 'Host: a']))
      expect(proxy.answer).toMatch(/^HTTP\/1\.1 407 /)
      await proxy.end()
    }
  })
})

describe('a wrong password of SOCKS5', () => {
  it('counts with those of HTTP, and waits as long', async () => {
    const { clock, attempts, ask, open } = port()
    const { CONNECT = () => '' } = WAYS
    for (let i = 0; i < 10; i += 1) await ask(CONNECT(WRONG))
    const proxy = open()
    proxy.client.write(hex('05 01 02'))
    proxy.client.write(login('user', 'wrong'))
    await proxy.quiet()
    expect(proxy.answer).toBe('\x05\x02')
    await clock.advanceAsync(250)
    await proxy.quiet()
    expect(proxy.answer).toBe('\x05\x02\x01\x01')
    expect(attempts.counts.socks).toBe(11)
    expect(proxy.client.state).toBe('ended')
  })

  it('keeps the right one from nobody', async () => {
    const { attempts, open } = port()
    for (let i = 0; i < 100; i += 1) attempts.note('192.0.2.7', 'socks')
    const proxy = open()
    proxy.client.write(hex('05 01 02'))
    proxy.client.write(login(USER.username, USER.password))
    await proxy.quiet()
    expect(proxy.answer).toBe('\x05\x02\x01\x00')
    await proxy.end()
  })
})
