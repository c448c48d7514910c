import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { type Scene, sha256 } from '../../support/e2e/scene.js'
import { readBytes, SocksUdp, socksConnect } from '../../support/e2e/socks.js'
import { download, httpOrigin, readAll, tcpTarget, udpEcho, upload } from '../../support/e2e/targets.js'

/** Down and up at once, each as a stream of its own, unchanged. */
export async function expectBulk(scene: Scene, socksPort: number, content: Buffer): Promise<void> {
  const origin = await httpOrigin(scene, content)
  const open = () => socksConnect(scene, socksPort, ['127.0.0.1', origin])
  const digest = sha256(content)
  const [down, up] = await Promise.all([download(await open()), upload(await open(), content)])
  expect(down).toBe(digest)
  expect(up).toBe(digest)
}

/** Single bytes and small pieces, each answered before the next. */
export async function expectInteractive(scene: Scene, socksPort: number, rounds = 30): Promise<void> {
  const port = await tcpTarget(scene, (socket) => socket.pipe(socket))
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', port])
  for (let round = 0; round < rounds; round++) {
    const said = randomBytes(1 + ((round * round) % 300))
    socket.write(said)
    expect(await readBytes(socket, said.length)).toEqual(said)
  }
  socket.destroy()
}

/** The target answers only after the end of what it is told, and its answer comes whole. */
export async function expectHalfClose(scene: Scene, socksPort: number): Promise<void> {
  const port = await tcpTarget(scene, (socket) => {
    void readAll(socket).then(
      (bytes) => socket.end(`${sha256(bytes)} ${bytes.length}`),
      () => {},
    )
  })
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', port])
  const content = randomBytes(300_000)
  socket.end(content)
  expect((await readAll(socket)).toString()).toBe(`${sha256(content)} ${content.length}`)
}

/** Datagrams of many sizes come back as they left. */
export async function expectUdp(scene: Scene, socksPort: number): Promise<void> {
  const port = await udpEcho(scene, '127.0.0.1')
  const association = await SocksUdp.open(scene, socksPort)
  for (const size of [0, 1, 100, 126, 1_400, 20_000, 60_000]) {
    const payload = randomBytes(size)
    expect(sha256(await association.exchange(['127.0.0.1', port], payload))).toBe(sha256(payload))
  }
  association.control.destroy()
}

/** Short connections at the same time, each with an answer of its own. */
export async function expectParallel(scene: Scene, socksPort: number, count: number): Promise<void> {
  const port = await tcpTarget(scene, (socket) => {
    void readBytes(socket, 16).then(
      (asked) => socket.end(sha256(asked).repeat(100)),
      () => {},
    )
  })
  const ask = async (): Promise<boolean> => {
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', port])
    const question = randomBytes(16)
    socket.write(question)
    const answer = await readBytes(socket, 6_400)
    socket.end()
    return answer.toString() === sha256(question).repeat(100)
  }
  const answers = await Promise.all(Array.from({ length: count }, ask))
  expect(answers.filter((whole) => !whole)).toEqual([])
}
