// The downloads beside an echo: a thread of small.mjs.
import { workerData } from 'node:worker_threads'
import { bulkRequest, openRoute } from './common.mjs'

const { streams, moved } = workerData

for (let i = 0; i < streams; i++) {
  const socket = await openRoute()
  socket.on('data', (bytes) => Atomics.add(moved, 0, BigInt(bytes.length)))
  socket.write(bulkRequest('D', 2 ** 50, 0))
}
