import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { direct } from './direct.mjs'
import { byHttp, byTls, checkout, deployed, observed } from './linksocks.mjs'
import { policed } from './policed.mjs'
import { relay, tlsRelay } from './relay.mjs'
import { ssh } from './ssh.mjs'
import { v2ray } from './v2ray.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Everything that can be measured here, and what can't with its reason.
 *
 * @param {string} folder for files of the run
 * @param {string | undefined} against another checkout
 * @param {readonly string[] | undefined} wanted names; all without
 */
export function findSubjects(folder, against, wanted) {
  const other = against === undefined ? [] : [checkout(resolve(against), 'against')]
  // only on request: everything else is measured with the defaults
  const plain = wanted?.includes('noresume') ? [checkout(ROOT, 'noresume', ['--no-resume'])] : []
  const http = wanted?.includes('http') ? [byHttp(ROOT)] : []
  const seen = wanted?.includes('observed') ? [observed(ROOT, folder)] : []
  const judged = wanted?.includes('policy') ? [policed(ROOT)] : []
  const secure = wanted?.includes('wss') ? [byTls(ROOT)] : []
  const secureRelay = wanted?.includes('tlsrelay') ? [tlsRelay] : []
  const all = [
    checkout(ROOT, 'linksocks'),
    ...other,
    ...plain,
    ...http,
    ...seen,
    ...judged,
    ...secure,
    ...secureRelay,
    relay,
    direct,
    v2ray(folder),
    ssh(folder),
    deployed(),
  ]
  const named = all.filter(({ name }) => wanted === undefined || wanted.includes(name))
  return {
    subjects: named.flatMap((found) => ('reason' in found ? [] : [found])),
    missing: named.flatMap((found) => ('reason' in found ? [found] : [])),
  }
}
