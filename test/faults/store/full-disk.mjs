/*
 * `node full-disk.mjs DIRECTORY`, on a small file system: writes tokens until it is full, makes room, writes on, and
 * prints what came of it.
 */
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '../../../dist/log.js'
import { openTokenDatabase } from '../../../dist/node/store/token-database.js'

const BALLAST_BYTES = 64 * 1024

const [, , mount] = process.argv
const directory = join(mount, 'data')
const ballast = join(mount, 'ballast')
const record = (n) => ({
  id: n.toString(16).padStart(24, '0'),
  type: 'forward',
  token: `${n} `.repeat(60),
  createdAt: n,
  enabled: true,
})
const told = {}

writeFileSync(ballast, new Uint8Array(BALLAST_BYTES))
let store = await openTokenDatabase({ directory, log: silentLogger })
let count = 0
try {
  for (; count < 10_000; count += 1) await store.write({ put: [record(count)] })
} catch (error) {
  told.failure = { code: error.code, message: error.message }
}
const { bavail, bsize } = statfsSync(mount)
told.free = bavail * bsize
told.again = await store.write({ put: [record(count), record(count + 1)] }).catch((error) => error.code)
told.heldWhenFull = (await store.load()).length === count
await store.close()

// a full disk keeps nobody from starting
store = await openTokenDatabase({ directory, log: silentLogger })
told.heldAfterStart = (await store.load()).length === count
rmSync(ballast)
await store.write({ put: [record(count)] })
told.heldWithRoom = (await store.load()).length === count + 1
await store.close()
process.stdout.write(JSON.stringify(told))
