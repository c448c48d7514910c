import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import { socksRequest } from '../../support/e2e/socks.js'
import { Recorder } from '../peers/base-recorder.js'
import {
  askChannel,
  EXIT_SIDES,
  type ExitSide,
  openChannel,
  SOCKS_SIDES,
  type SocksSide,
  Target,
} from '../peers/base-sides.js'
import { connect, connected, data, disconnect, gzipped, newId, refused } from '../peers/base-wire.js'

// Deployed relays let Data and Disconnect overtake the ConnectResponse.

const EARLY = 'SSH-2.0-server-speaks-first\r\n'

describe.each(SOCKS_SIDES)('%s that reorders', (_, open) => {
  const scene = sceneOfSuite()
  let side: SocksSide
  beforeAll(async () => {
    side = await open(scene)
  })
  const ask = () => askChannel(scene, side, side.exit)

  it('keeps what a server says before the ConnectResponse, in order', async () => {
    const { opening, id } = await ask()
    side.exit.send(data(id, EARLY), gzipped(id, 'more '), data(id, 'of it, '), connected(id), data(id, 'answered'))
    const app = await opening
    const read = new Recorder(app)
    const whole = `${EARLY}more of it, answered`
    expect((await read.until(whole.length)).toString()).toBe(whole)
    app.write('question')
    expect((await side.exit.bytesOf(id, 8)).toString()).toBe('question')
    app.destroy()
  })

  it('takes Data before the ConnectResponse for "connected", and sends before it comes', async () => {
    const { opening, id } = await ask()
    side.exit.send(data(id, EARLY))
    const app = await opening
    app.write('question')
    expect((await side.exit.bytesOf(id, 8)).toString()).toBe('question')
    side.exit.send(connected(id), data(id, 'answer'))
    expect((await new Recorder(app).until(EARLY.length + 6)).toString()).toBe(`${EARLY}answer`)
    app.destroy()
  })

  it.each([
    ['EOF', 'all there is', 'EOF'],
    ['no text', 'all there is', ''],
    ['no error field', 'all there is', undefined],
    ['EOF and no Data', '', 'EOF'],
  ])('takes an orderly Disconnect before the ConnectResponse for a whole stream: %s', async (__, text, error) => {
    const { opening, id } = await ask()
    if (text !== '') side.exit.send(data(id, text))
    side.exit.send(disconnect(id, error), connected(id))
    const read = new Recorder(await opening)
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe(text)
    expect((await side.exit.next('disconnect', id)).error).toBe('EOF')
  })

  it.each([
    ['connection refused', 5],
    ['no such host', 4],
    ['i/o timeout', 6],
    ['anything else', 1],
  ])('takes a Disconnect with an error before the ConnectResponse for a failure: %s', async (error, rep) => {
    const before = side.exit.all('connect').length
    const asked = socksRequest(scene, side.socksPort, 1, ['fails.test', 80])
    asked.catch(() => {})
    const { id } = await side.exit.until('connect', () => side.exit.all('connect')[before])
    side.exit.send(disconnect(id, error), connected(id), data(id, 'late'))
    expect((await asked).rep).toBe(rep)
  })

  it('fails a Connect whose ConnectResponse says why, and ignores what comes behind it', async () => {
    const { opening, id } = await ask()
    side.exit.send(refused(id, 'dial tcp 10.0.0.1:1: connect: connection refused'), data(id, 'late'), connected(id))
    await expect(opening).rejects.toThrow('SOCKS reply 5')
    side.exit.send(disconnect(id, 'EOF'), refused(id, 'again'))
    const { app } = await openChannel(scene, side)
    app.destroy()
  })

  it('ignores a second ConnectResponse of either kind', async () => {
    const { app, id } = await openChannel(scene, side)
    side.exit.send(data(id, 'one '), connected(id), data(id, 'two '), refused(id, 'no'), data(id, 'three'))
    expect((await new Recorder(app).until(13)).toString()).toBe('one two three')
    app.destroy()
  })
})

describe.each(EXIT_SIDES)('%s that does not wait', (_, open) => {
  const scene = sceneOfSuite()
  let side: ExitSide
  let target: Target
  beforeAll(async () => {
    target = await Target.open(scene)
    side = await open(scene)
  })

  it('brings the target what came right behind the Connect', async () => {
    const id = newId()
    side.asker.send(connect(id, '127.0.0.1', target.port), data(id, 'early '), gzipped(id, 'and '), data(id, 'more'))
    const app = await target.next()
    expect((await new Recorder(app).until(14)).toString()).toBe('early and more')
    // never before the answer: old SOCKS sides take it for their own
    app.write('answer')
    await side.asker.bytesOf(id, 6)
    const kinds = side.asker.received.filter((message) => message.id === id).map((message) => message.kind)
    expect(kinds.slice(0, 2)).toEqual(['connectResponse', 'data'])
    app.destroy()
  })

  it('brings the target all that an asker sent which has left again', async () => {
    const id = newId()
    side.asker.send(connect(id, '127.0.0.1', target.port))
    side.asker.finish(id, 'all of it')
    const read = new Recorder(await target.next())
    expect(await read.ended()).toBe('end')
    expect(read.text).toBe('all of it')
  })

  it('answers a Connect whose id is in use by nothing: the channel that has it goes on', async () => {
    const id = newId()
    const again = connect(id, '127.0.0.1', target.port)
    side.asker.send(again)
    await side.asker.next('connectResponse', id)
    const app = await target.next()
    side.asker.send(again, data(id, 'goes on'))
    expect((await new Recorder(app).until(7)).toString()).toBe('goes on')
    expect(side.asker.all('connectResponse', id)).toHaveLength(1)
    app.destroy()
  })
})
