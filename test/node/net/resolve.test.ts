import type dns from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'

type Callback = (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void
const asked = vi.hoisted(() => ({ lookup: undefined as unknown }))

vi.mock('node:dns', async (original) => {
  const real = await original<typeof dns>()
  const lookup = (...args: unknown[]): void => ((asked.lookup ?? real.lookup) as (...args: unknown[]) => void)(...args)
  return { ...real, lookup, default: { ...real, lookup } }
})
const { MAX_ADDRESSES, nodeResolve } = await import('../../../src/node/net/resolve.js')

/** Makes the system's look-up answer so. */
function systemAnswers(answer: (host: string, callback: Callback) => void): void {
  asked.lookup = (host: string, _options: object, callback: Callback) => answer(host, callback)
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`getaddrinfo ${code} name`), { code })
}

describe('nodeResolve', () => {
  afterEach(() => {
    asked.lookup = undefined
  })

  it('gives IP text back without asking', async () => {
    systemAnswers(() => {
      throw new Error('asked')
    })
    expect(await nodeResolve('192.0.2.1')).toEqual(['192.0.2.1'])
    expect(await nodeResolve('2001:db8::1')).toEqual(['2001:db8::1'])
  })

  it('asks the system', async () => {
    const addresses = await nodeResolve('localhost')
    expect(addresses.length).toBeGreaterThan(0)
    for (const address of addresses) expect(['127.0.0.1', '::1']).toContain(address)
  })

  it('keeps the order, drops repetitions and looks at a bounded number', async () => {
    const found = ['::1', '127.0.0.1', '::1', ...Array.from({ length: 1_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)]
    systemAnswers((_host, callback) =>
      callback(
        null,
        found.map((address) => ({ address, family: 4 })),
      ),
    )
    const addresses = await nodeResolve('many.test')
    expect(addresses.slice(0, 3)).toEqual(['::1', '127.0.0.1', '10.0.0.0'])
    expect(addresses.length).toBe(MAX_ADDRESSES)
  })

  it.each([
    ['ENOTFOUND', 'ERR_DIAL_HOST_UNREACHABLE', /^name does not resolve$/],
    ['ENODATA', 'ERR_DIAL_HOST_UNREACHABLE', /^name does not resolve$/],
    ['EAI_AGAIN', 'ERR_DIAL_HOST_UNREACHABLE', /temporary failure/],
    ['EAI_FAIL', 'ERR_DIAL_FAILED', /EAI_FAIL/],
  ])('reports %s as %s', async (system, code, message) => {
    systemAnswers((_host, callback) => callback(failure(system), []))
    await expect(nodeResolve('name.test')).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('does not resolve an empty name, an answer without addresses, or a name the system can not take', async () => {
    await expect(nodeResolve('')).rejects.toMatchObject({ code: 'ERR_DIAL_HOST_UNREACHABLE' })
    systemAnswers((_host, callback) => callback(null, []))
    await expect(nodeResolve('empty.test')).rejects.toMatchObject({ code: 'ERR_DIAL_HOST_UNREACHABLE' })
    systemAnswers(() => {
      throw new TypeError('bad name')
    })
    await expect(nodeResolve('a\0b')).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
  })

  it('ends the wait at once when cancelled, and takes the late answer quietly', async () => {
    let answer: Callback = () => {}
    systemAnswers((_host, callback) => {
      answer = callback
    })
    const controller = new AbortController()
    const waiting = nodeResolve('slow.test', { signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    answer(null, [{ address: '192.0.2.1', family: 4 }])
  })

  it('does not begin when it is cancelled already, and leaves no listener behind', async () => {
    await expect(nodeResolve('name.test', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
    const { signal } = new AbortController()
    systemAnswers((_host, callback) => callback(null, [{ address: '192.0.2.1', family: 4 }]))
    expect(await nodeResolve('name.test', { signal })).toEqual(['192.0.2.1'])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})
