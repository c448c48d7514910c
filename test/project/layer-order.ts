import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './support.js'

interface LayerTable {
  /** Lowest first; the layers of one line don't import each other. */
  readonly order: readonly (readonly string[])[]
  readonly files: readonly string[]
  readonly inside: Readonly<Record<string, readonly (readonly string[])[]>>
  readonly internal: readonly string[]
  readonly packages: Readonly<Record<string, readonly string[]>>
  readonly core: readonly string[]
}

export const TABLE: LayerTable = JSON.parse(readFileSync(join(ROOT, 'scripts/layers.json'), 'utf8'))

function withInside(name: string): readonly string[] {
  return [...(TABLE.inside[name] ?? []).flat().map((sub) => `${name}/${sub}`), name]
}

/** Every layer, lowest first. */
export const LAYERS: readonly string[] = TABLE.order.flat().flatMap(withInside)

/** Layers that are one file of `src`. */
export const isFile = (layer: string): boolean => TABLE.files.includes(layer)

export const folderOf = (layer: string): string => layer.split('/')[0] ?? ''

/** Layers that know nothing of Node. */
export const CORE: readonly string[] = TABLE.core.flatMap(withInside)

/** Two numbers that grow upwards: where the folder stands in the order, and where the layer stands in its folder. */
function heightOf(layer: string): { readonly outer: number; readonly inner: number } {
  const [folder = '', sub] = layer.split('/')
  const inside = TABLE.inside[folder] ?? []
  const outer = TABLE.order.findIndex((line) => line.includes(folder))
  return { outer, inner: sub === undefined ? inside.length : inside.findIndex((line) => line.includes(sub)) }
}

export function mayImport(from: string, to: string): boolean {
  if (from === to) return true
  const a = heightOf(from)
  const b = heightOf(to)
  if (folderOf(from) === folderOf(to)) return b.inner < a.inner
  return b.outer < a.outer && !TABLE.internal.includes(to)
}

/** Packages, and modules of Node, that a layer may import. */
export function packagesOf(layer: string): readonly string[] {
  return TABLE.packages[layer] ?? []
}
