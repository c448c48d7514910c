/*
 * Writes tokens into a data directory and tells each id as soon as it is acknowledged: `node token-writer.mjs DIRECTORY
 * FIRST COUNT`. In between it replaces and removes earlier ones. Ends with the code of the first error.
 */

import { silentLogger } from '../../../dist/log.js'
import { openTokenDatabase } from '../../../dist/node/store/token-database.js'

const [, , directory, first, count] = process.argv
const id = (n) => n.toString(16).padStart(24, '0')
const record = (n, label) => ({
  id: id(n),
  type: 'reverse',
  token: `token ${n} `.repeat(20),
  createdAt: n,
  enabled: true,
  username: `user ${n}`,
  password: `password ${n}`,
  label,
})

try {
  const store = await openTokenDatabase({ directory, log: silentLogger })
  process.stdout.write('open\n')
  for (let n = Number(first); n < Number(first) + Number(count); n += 1) {
    // three records that belong together, one of them for a moment only
    const changes = n % 3 === 0 ? { put: [record(n), record(n + 1), record(n + 2)] } : { put: [record(n, 'replaced')] }
    await store.write(changes)
    process.stdout.write(`${n}\n`)
  }
  await store.close()
} catch (error) {
  process.stdout.write(`${error.code} ${error.message}\n`)
}
