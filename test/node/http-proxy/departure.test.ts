import { describe, expect, it } from 'vitest'
import { Departure } from '../../../src/inbound/departure.js'
import { nodeClock } from '../../../src/node/system/clock.js'
import { until } from '../../support/wait.js'
import { httpOrigin, openProxy, RawClient } from './fixture.js'

/** An origin that answers when it is told to, with the path that was asked for. */
async function patientOrigin() {
  const answers: (() => void)[] = []
  const port = await httpOrigin(({ url }, response) => void answers.push(() => response.end(`<${url}>`)))
  return { answers, get: (path: string) => `GET http://127.0.0.1:${port}${path} HTTP/1.1\r\nHost: a\r\n\r\n` }
}

describe('HTTP on a proxy port whose server is about to end', () => {
  it('is closed at once between two requests', async () => {
    const departure = new Departure(nodeClock)
    const { port } = await openProxy({ departure })
    const { answers, get } = await patientOrigin()
    const client = new RawClient(port)
    client.write(get('/1'))
    await until(() => answers.length === 1)
    expect(departure.expected.some).toBe(false)
    answers[0]?.()
    await client.until(/<\/1>/)
    expect(client.text).not.toMatch(/connection: close/i)
    departure.begin()
    await until(() => client.ended)
  })

  it('is answered with the last word where a request is under way', async () => {
    const departure = new Departure(nodeClock)
    const { port } = await openProxy({ departure })
    const { answers, get } = await patientOrigin()
    const client = new RawClient(port)
    client.write(get('/1'))
    await until(() => answers.length === 1)
    departure.begin()
    answers[0]?.()
    await client.until(/<\/1>/)
    await until(() => client.ended)
  })

  it('answers all that has come, and says with the last answer that it is the last', async () => {
    const departure = new Departure(nodeClock)
    departure.begin()
    const { port } = await openProxy({ departure })
    const { answers, get } = await patientOrigin()
    const client = new RawClient(port)
    client.write(get('/1') + get('/2'))
    await until(() => answers.length === 1)
    answers[0]?.()
    await until(() => answers.length === 2)
    answers[1]?.()
    await until(() => client.ended)
    expect(client.text.match(/<.*?>|connection: close/gi)).toEqual(['</1>', 'Connection: close', '</2>'])
  })
})
