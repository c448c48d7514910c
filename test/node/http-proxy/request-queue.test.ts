import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { RequestQueue } from '../../../src/node/http-proxy/request-queue.js'
import { settle } from '../../support/manual-clock.js'

/** A queue, what it said, and requests by number that are answered when the test says so. */
function fixture() {
  const said: string[] = []
  const state = { over: false }
  const answers: ((error?: Error) => void)[] = []
  const queue = new RequestQueue({
    over: () => state.over,
    empty: () => said.push('empty'),
    full: () => said.push('full'),
    freed: () => said.push('freed'),
    failed: ({ code, message }) => said.push(`${code} ${message}`),
  })
  const add = (name: string): void =>
    queue.add(() => {
      said.push(name)
      return new Promise((resolve, reject) =>
        answers.push((error) => (error === undefined ? resolve() : reject(error))),
      )
    })
  const answer = async (error?: Error): Promise<void> => {
    answers.shift()?.(error)
    await settle()
  }
  return { queue, said, state, add, answer }
}

describe('RequestQueue', () => {
  it('serves one request after the other, as they came', async () => {
    const { said, add, answer } = fixture()
    for (const name of ['a', 'b', 'c']) add(name)
    await settle()
    expect(said).toEqual(['a'])
    await answer()
    expect(said).toEqual(['a', 'b'])
    await answer()
    await answer()
    expect(said).toEqual(['a', 'b', 'c', 'empty'])
  })

  it('is empty again after each time', async () => {
    const { said, add, answer } = fixture()
    for (const name of ['a', 'b']) {
      add(name)
      await settle()
      await answer()
    }
    expect(said).toEqual(['a', 'empty', 'b', 'empty'])
  })

  it('serves nothing more when the connection is over', async () => {
    const { said, state, add, answer } = fixture()
    for (const name of ['a', 'b']) add(name)
    await settle()
    state.over = true
    await answer()
    expect(said).toEqual(['a'])
  })

  it('goes on after a request that throws', async () => {
    const { queue, said, add, answer } = fixture()
    queue.add(() => {
      throw new LinkSocksError('ERR_HTTP', 'at once')
    })
    add('a')
    await settle()
    await answer(new Error('later'))
    expect(said).toEqual(['ERR_HTTP at once', 'a', 'ERR_HTTP later', 'empty'])
  })

  it('is full when 64 wait besides the one that is served, and has room again with the next answer', async () => {
    const { said, add, answer } = fixture()
    for (let count = 1; count <= 64; count += 1) add(`${count}`)
    await settle()
    expect(said).toEqual(['1'])
    add('65')
    expect(said).toEqual(['1', 'full'])
    await answer()
    expect(said).toEqual(['1', 'full', 'freed', '2'])
    add('66')
    expect(said.at(-1)).toBe('full')
  })

  it('has no room while more than may wait were added', async () => {
    const { said, add, answer } = fixture()
    for (let count = 1; count <= 66; count += 1) add(`${count}`)
    await settle()
    expect(said).toEqual(['full', 'full', '1'])
    await answer()
    expect(said).not.toContain('freed')
    await answer()
    expect(said.filter((word) => word === 'freed')).toHaveLength(1)
  })
})
