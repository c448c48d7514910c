/*
 * `node read-only-server.mjs DIRECTORY`, which may be mounted: runs the server's program there, makes its file system read-only and
 * writable again below it, changes tokens through its API, and prints what it answered.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { StoringServer } from './storing-server.mjs'

const [, , mount] = process.argv
const server = new StoringServer(join(mount, 'data'))

const labels = async () => (await server.ask('GET', 'tokens'))[1].tokens.map(({ label }) => label)

/** One change of each kind: what the server answers. */
async function changes(label) {
  const [{ id }] = (await server.ask('GET', 'tokens'))[1].tokens
  const answers = [
    await server.ask('POST', 'token', { type: 'forward', token: label, label }),
    await server.ask('PATCH', `tokens/${id}`, { label }),
    await server.ask('PUT', 'config/access', { entry: [] }),
    await server.ask('DELETE', `tokens/${id}`),
  ]
  return { statuses: answers.map(([status]) => status), alarms: await server.alarms(), labels: await labels() }
}

try {
  await server.start()
  for (const label of ['one', 'two']) await server.ask('POST', 'token', { type: 'forward', token: label, label })
  // a file system with a file that is open for writing can't be remounted itself
  execFileSync('mount', ['--bind', mount, mount])
  execFileSync('mount', ['-o', 'remount,bind,ro', mount])
  const readOnly = await changes('three')
  execFileSync('umount', [mount])
  const writable = await changes('four')
  await server.kill()
  await server.start()
  process.stdout.write(JSON.stringify({ readOnly, writable, afterStart: await labels() }))
} finally {
  await server.kill()
}
