/*
 * `node full-disk-server.mjs DIRECTORY`, on a small file system: runs the server's program there, fills the disk through its
 * API, starts it again, makes room, and prints what it answered.
 */
import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { StoringServer } from './storing-server.mjs'

const BALLAST_BYTES = 64 * 1024

const [, , mount] = process.argv
const ballast = join(mount, 'ballast')
const told = {}
const server = new StoringServer(join(mount, 'data'))
const ask = (...request) => server.ask(...request)

/** Whether the server says that it did it. */
async function changed(method, id, body) {
  const [status, answer] = await ask(method, `tokens/${id}`, body)
  if (status < 300) return true
  if (status !== 507 || answer.error !== 'not stored') throw new Error(`${status} ${JSON.stringify(answer)}`)
  if (!told.refused.includes(method)) told.refused.push(method)
  return false
}

/** Takes what is left of the disk. */
function fill() {
  try {
    for (;;) appendFileSync(ballast, new Uint8Array(1_024))
  } catch (error) {
    told.full = error.code
  }
}

/** All tokens as they are shown, without what may be another at each start. */
async function tokens() {
  const all = []
  for (let after = ''; ; ) {
    const [, page] = await ask('GET', `tokens?limit=1000${after}`)
    all.push(...page.tokens)
    if (page.next === null) return JSON.stringify(all)
    after = `&after=${encodeURIComponent(page.next)}`
  }
}

const alarms = () => server.alarms()
const add = (n) => ask('POST', 'token', { type: 'forward', token: `${n} `.repeat(50).trim(), label: 'x'.repeat(190) })

try {
  writeFileSync(ballast, new Uint8Array(BALLAST_BYTES))
  await server.start()
  let count = 0
  for (; count < 5_000; count += 1) {
    const [status, answer] = await add(count)
    if (status === 200) continue
    told.post = [status, answer]
    told.alarms = await alarms()
    break
  }
  told.some = count > 10
  const [, { tokens: first }] = await ask('GET', 'tokens?limit=1')
  const [, found] = await ask('GET', 'tokens?limit=1000')
  fill()
  // a change and a removal may find room in their journal: what they answer is what counts
  const expected = new Map(JSON.parse(await tokens()).map(({ id, label }) => [id, label]))
  told.refused = []
  for (const { id } of found.tokens.slice(0, 60)) {
    const label = 'y'.repeat(200)
    if (await changed('PATCH', id, { label })) expected.set(id, label)
    if (await changed('DELETE', id)) expected.delete(id)
  }
  const full = await tokens()
  told.asAnswered =
    JSON.stringify(JSON.parse(full).map(({ id, label }) => [id, label])) === JSON.stringify([...expected])
  await server.kill()
  await server.start()
  told.sameAfterStart = (await tokens()) === full
  rmSync(ballast)
  told.again = [(await add(9_999))[0], (await ask('PATCH', `tokens/${found.tokens.at(-1).id}`, { label: 'new' }))[0]]
  told.alarmsAgain = await alarms()
  const last = await tokens()
  await server.kill()
  await server.start()
  told.sameAtLast = (await tokens()) === last && last.includes('"new"') && first.length === 1
} finally {
  await server.kill()
}
process.stdout.write(JSON.stringify(told))
