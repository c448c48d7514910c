import { bulkRequest, CHUNK, CONFIRMATION, numbers, openRoute, patternAt, patternHolds, receive } from './common.mjs'

/** @typedef {{ socket: import('node:net').Socket, phase: number, length: number, moved: number }} Stream */

/**
 * @param {Stream} stream
 * @param {() => void} moved is called after each piece
 */
async function download(stream, moved) {
  const { socket, phase, length } = stream
  await new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
    socket.on('data', (bytes) => {
      if (!patternHolds(bytes, phase + stream.moved, numbers.whole === 1)) {
        reject(new Error(`download is wrong within ${bytes.length} bytes from ${stream.moved} on`))
      }
      stream.moved += bytes.length
      moved()
      if (stream.moved > length) reject(new Error('download is longer than asked for'))
      if (stream.moved === length) resolve()
    })
    socket.on('close', () => reject(new Error(`download ended after ${stream.moved} bytes`)))
  })
}

/**
 * @param {Stream} stream
 * @param {() => void} moved
 */
async function upload(stream, moved) {
  const { socket, phase, length } = stream
  while (stream.moved < length) {
    const bytes = patternAt(phase + stream.moved, Math.min(CHUNK, length - stream.moved))
    stream.moved += bytes.length
    moved()
    if (socket.write(bytes)) continue
    await new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      socket.once('drain', resolve).once('close', () => reject(new Error('upload failed')))
    })
    socket.removeAllListeners('close')
  }
  const confirmation = await receive(socket, CONFIRMATION)
  const arrived = Number(confirmation.readBigUInt64LE(0))
  const bad = Number(confirmation.readBigUInt64LE(8))
  if (arrived !== length || bad !== 0) throw new Error(`upload: ${arrived} bytes arrived, ${bad} pieces wrong`)
  return Number(confirmation.readBigUInt64LE(16)) / 1e6
}

export async function bulk() {
  const { up = 0, streams: count = 1, bytes: wanted = 67_108_864 } = numbers
  const length = Math.floor(wanted / count)
  const bytes = length * count
  /** @type {Stream[]} */
  const streams = []
  for (let i = 0; i < count; i++) streams.push({ socket: await openRoute(), phase: i * 7_919, length, moved: 0 })
  const began = performance.now()
  let half = 0
  let fair = 0
  const moved = () => {
    if (half === 0 && streams.reduce((sum, stream) => sum + stream.moved, 0) >= bytes / 2) half = performance.now()
  }
  const one = async (/** @type {Stream} */ stream) => {
    stream.socket.write(bulkRequest(up === 1 ? 'U' : 'D', length, stream.phase))
    const said = await (up === 1 ? upload : download)(stream, moved)
    const all = streams.map((each) => each.moved)
    if (fair === 0) fair = said ?? Math.min(...all) / Math.max(...all)
  }
  await Promise.all(streams.map(one))
  const ended = performance.now()
  return { bytes, seconds: (ended - began) / 1_000, secondHalfSeconds: (ended - half) / 1_000, fair }
}
