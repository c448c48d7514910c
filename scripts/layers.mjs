/*
 * The layer rule. `layers.json` says which layers there are and in what order; this writes the lint's rules for it into
 * biome.json, or with --check says whether they are there.
 *
 * order     lowest first. A layer imports from those of earlier lines, and layers of one line don't import each other.
 * files     layers that are one file of `src`; the others are folders
 * inside    for a folder its sub-folders, lowest first: layers too. The files at its root stand above all of them.
 * internal  sub-folders that only their own folder imports
 * packages  what else a layer may import; a sub-folder has a line of its own
 * core      layers that know nothing of Node
 */
import { readFile, writeFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'

const BIOME = new URL('../biome.json', import.meta.url)
const RULE = 'noRestrictedImports'

/** @typedef {typeof import('./layers.json')} Layers */

/** All layers, lowest first: `mux/flow` before `mux`. @param {Layers} table @returns {string[]} */
function layersOf(table) {
  return table.order.flat().flatMap((name) => [
    ...insideOf(table, name)
      .flat()
      .map((sub) => `${name}/${sub}`),
    name,
  ])
}

/** @param {Layers} table @param {string} name @returns {string[][]} */
function insideOf(table, name) {
  return /** @type {Record<string, string[][]>} */ (table.inside)[name] ?? []
}

/** @param {string} layer @returns {[string, string | undefined]} */
function split(layer) {
  const [folder = '', sub] = layer.split('/')
  return [folder, sub]
}

/** @param {readonly (readonly string[])[]} order @param {string | undefined} name */
function lineOf(order, name) {
  return name === undefined ? order.length : order.findIndex((line) => line.includes(name))
}

/** @param {Layers} table @param {string} from @param {string} to */
function mayImport(table, from, to) {
  const [folder, sub] = split(from)
  const [otherFolder, otherSub] = split(to)
  if (from === to) return true
  if (folder !== otherFolder) {
    return lineOf(table.order, otherFolder) < lineOf(table.order, folder) && !table.internal.some((name) => name === to)
  }
  const inside = insideOf(table, folder)
  return lineOf(inside, otherSub) < lineOf(inside, sub)
}

/** Files of a layer, from the root of `src`. @param {Layers} table @param {string} layer */
function filesOf(table, layer) {
  if (table.files.some((name) => name === layer)) return `${layer}.js`
  return `${layer}/*.js`
}

/** The lint's rule for one layer. @param {Layers} table @param {string} layer */
function override(table, layer) {
  const isFile = table.files.some((name) => name === layer)
  const up = isFile ? './' : '../'.repeat(layer.split('/').length)
  const allowed = layersOf(table).filter((to) => to !== layer && mayImport(table, layer, to))
  const packages = /** @type {Record<string, string[]>} */ (table.packages)[layer] ?? []
  const own = isFile ? [] : ['!./*.js']
  const group = [
    '**',
    ...own,
    ...allowed.map((to) => `!${pathTo(table, layer, to, up)}`),
    ...packages.map((p) => `!${p}`),
  ]
  const names = [...allowed, ...packages]
  const message = `layer rule: ${layer} may import ${names.length === 0 ? 'nothing' : names.join(' ')}`
  const rules = { style: { [RULE]: { level: 'error', options: { patterns: [{ group, message }] } } } }
  return { includes: [isFile ? `src/${layer}.ts` : `src/${layer}/*.ts`], linter: { rules } }
}

/** As an import of `from` names a file of `to`. @param {Layers} table @param {string} from @param {string} to @param {string} up */
function pathTo(table, from, to, up) {
  const [folder, sub] = split(from)
  const [otherFolder, otherSub] = split(to)
  if (folder !== otherFolder) return up + filesOf(table, to)
  return sub === undefined ? `./${otherSub}/*.js` : `../${otherSub}/*.js`
}

/** @param {{ linter?: { rules?: { style?: object } } }} entry */
function isLayerRule(entry) {
  return entry.linter?.rules?.style !== undefined && RULE in entry.linter.rules.style
}

async function main() {
  const table = JSON.parse(await readFile(new URL('layers.json', import.meta.url), 'utf8'))
  const config = JSON.parse(await readFile(BIOME, 'utf8'))
  const overrides = [
    ...config.overrides.filter((/** @type {object} */ entry) => !isLayerRule(entry)),
    ...layersOf(table).map((layer) => override(table, layer)),
  ]
  if (isDeepStrictEqual(overrides, config.overrides)) return
  if (process.argv.includes('--check')) {
    console.error('biome.json does not have the rules of scripts/layers.json: run node scripts/layers.mjs')
    process.exitCode = 1
    return
  }
  await writeFile(BIOME, `${JSON.stringify({ ...config, overrides }, undefined, 2)}\n`)
}

await main()
