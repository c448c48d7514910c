/**
 * Fails when the dashboard has become too heavy: all that its page loads, compressed, and nothing of it inside of another
 * file, which the page's policy would refuse.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const FOLDER = fileURLToPath(new URL('../dist/dashboard/', import.meta.url))
const MAX_BYTES = 300_000
/** Not loaded: for who wants to read it. */
const BESIDE = ['THIRD-PARTY-LICENCES.md']

const names = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => /\.\w+$/.test(name))
let total = 0
for (const name of names.filter((name) => !BESIDE.includes(name)).sort()) {
  const content = readFileSync(join(FOLDER, name))
  const { byteLength } = gzipSync(content, { level: 9 })
  total += byteLength
  console.log(`${name} ${(byteLength / 1_000).toFixed(1)} kB`)
  if (/\.(css|html)$/.test(name) && /\bdata:|\bhttps?:|<style|\sstyle=/.test(content.toString())) {
    throw new Error(`${name} holds what the page's policy refuses`)
  }
}
if (total === 0) throw new Error('there is no dashboard in dist')
console.log(`dashboard: ${(total / 1_000).toFixed(1)} kB compressed`)
if (total > MAX_BYTES) throw new Error(`the dashboard may have ${MAX_BYTES / 1_000} kB`)
