import { join } from 'node:path'
import { MOST_RULES, mixedRules } from '../lib/policies.mjs'
import { checkout, starter } from './linksocks.mjs'

const KEY = 'key-of-the-benchmark'
const TOKENS = 1_000
/** Of each token that is not in use. */
const FEW_RULES = 20

/**
 * This checkout with 1,000 tokens that have policies. The one in use has as many rules as a policy may have, and none speaks of where the
 * load goes.
 *
 * @param {string} folder a checkout that was built
 * @returns {import('./subject.mjs').Subject}
 */
export function policed(folder) {
  const command = [process.execPath, join(folder, 'bin/linksocks.js')]
  const start = starter(command, ['--api-key', KEY], [], /link\.up/, { prepare: setPolicies })
  return { ...checkout(folder, 'policy'), title: 'LinkSocks with policies', start }
}

async function setPolicies(/** @type {number} */ port) {
  const ask = asker(port)
  const { tokens } = await ask('GET', '/api/tokens')
  for (const { id, type } of tokens) {
    if (type !== 'connector') await ask('PATCH', `/api/tokens/${id}`, { policy: policyOf(MOST_RULES) })
  }
  for (let n = 1; n < TOKENS; n++) await ask('POST', '/api/token', { type: 'forward', policy: policyOf(FEW_RULES) })
}

const policyOf = (/** @type {number} */ rules) => ({ egress: mixedRules(rules), egress_default: 'allow' })

/**
 * @param {number} port
 * @returns {(method: string, path: string, body?: object) => Promise<any>}
 */
const asker = (port) => async (method, path, body) => {
  const headers = { 'x-api-key': KEY, 'content-type': 'application/json' }
  const init = body === undefined ? { headers } : { method, headers, body: JSON.stringify(body) }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  return response.json()
}
