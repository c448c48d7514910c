import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { busyMeter } from './proc.mjs'
import { runLoad } from './tools.mjs'

const CACHES = '/sys/devices/system/cpu/cpu0/cache'
const MIB = 1_048_576
/** Copied at a time: with its source it fits every L2. */
const BLOCK_BYTES = 65_536
/** What no cache holds: so many times the last one, within these bounds and a share of the memory. */
const COLD = { caches: 4, least: 64 * MIB, most: 512 * MIB, ofMemory: 1 / 8 }
/** Of one of the repeated measurements. */
const COPY_MS = 30
const COPY_LIMIT_MS = 20_000

/** Files that a process may have open here. */
export function descriptors() {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? 1_024)
}

/**
 * Sizes in KiB of the caches that a CPU has or shares, by name: `L1d`, `L2`, `L3`. Empty where the kernel doesn't say.
 *
 * @param {string} folder what the kernel says of them
 * @returns {Record<string, number>}
 */
export function cachesOf(folder) {
  const read = (/** @type {string} */ name, /** @type {string} */ file) =>
    readFileSync(`${folder}/${name}/${file}`, 'utf8').trim()
  try {
    const data = readdirSync(folder)
      .filter((name) => /^index\d+$/.test(name) && read(name, 'type') !== 'Instruction')
      .map((name) => ({ level: read(name, 'level'), kib: kibibytes(read(name, 'size')) }))
      .sort((a, b) => Number(a.level) - Number(b.level))
    return Object.fromEntries(data.map(({ level, kib }) => [level === '1' ? 'L1d' : `L${level}`, kib]))
  } catch {
    return {}
  }
}

/** `32K`, `2M` */
function kibibytes(/** @type {string} */ text) {
  return Number.parseInt(text, 10) * (text.endsWith('M') ? 1_024 : 1)
}

/**
 * How fast a process copies memory, in GB/s of what is copied: from one block that the caches hold into another (`hot`), and into
 * blocks of an area that they don't hold (`cold`).
 *
 * @param {import('./tools.mjs').Tools} tools
 * @param {Readonly<Record<string, number>>} cachesKiB
 * @returns {Promise<{ hot: number, cold: number } | undefined>} `undefined` after an explanation
 */
export async function copySpeeds(tools, cachesKiB) {
  try {
    const options = { block: BLOCK_BYTES, area: coldBytes(cachesKiB, totalmem()), ms: COPY_MS }
    const { hot, cold } = await runLoad(tools, 'copy', options, COPY_LIMIT_MS)
    return { hot: Number(hot.toPrecision(3)), cold: Number(cold.toPrecision(3)) }
  } catch (error) {
    console.error(`copies were not measured: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
}

/**
 * An area that no cache holds.
 *
 * @param {Readonly<Record<string, number>>} cachesKiB
 * @param {number} memory bytes of the machine
 */
export function coldBytes(cachesKiB, memory) {
  const largest = Math.max(0, ...Object.values(cachesKiB)) * 1_024
  return Math.min(Math.max(COLD.least, Math.min(COLD.caches * largest, COLD.most)), memory * COLD.ofMemory)
}

/**
 * The machine in one line.
 *
 * @param {Omit<Awaited<ReturnType<typeof machine>>, 'descriptors' | 'busyBefore' | 'loadBefore'>} machine
 * @param {{ hot: number, cold: number } | undefined} copies
 */
export function headline({ cpu, cores, cachesKiB, memoryGiB, kernel, node }, copies) {
  const size = (/** @type {number} */ kib) =>
    kib < 1_024 ? `${kib} KiB` : `${Number((kib / 1_024).toPrecision(3))} MiB`
  const caches = Object.entries(cachesKiB).map(([name, kib]) => `${name} ${size(kib)}`)
  return [
    `${cpu}, ${cores} core${cores === 1 ? '' : 's'}`,
    caches.length === 0 ? 'caches unknown' : caches.join(', '),
    copies === undefined ? 'copies not measured' : `copies ${copies.hot} GB/s hot, ${copies.cold} GB/s cold`,
    `${memoryGiB} GiB`,
    kernel,
    `Node ${node}`,
  ].join('; ')
}

/** What the figures depend on, besides the programs. */
export async function machine() {
  const busy = busyMeter()
  await sleep(1_000)
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    cachesKiB: cachesOf(CACHES),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release().split('-')[0]}`,
    node: process.version,
    descriptors: descriptors(),
    /** Share of all cores that others used in the second before the run, and the load average. */
    busyBefore: Number(busy().toFixed(3)),
    loadBefore: Number((loadavg()[0] ?? 0).toFixed(2)),
  }
}
