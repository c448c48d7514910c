/** The layers, left to right; a room imports only from layers to its left, and rooms of one layer not each other. */
export const LAYERS = [
  ['protocol'],
  ['mux'],
  ['socks'],
  ['exit'],
  ['relay', 'client'],
  ['api'],
  ['node'],
  ['index'],
  ['cli'],
] as const

/** Files of `src` that every room may import. */
export const LEAVES = ['errors', 'log', 'ports'] as const

/** Rooms that know nothing of Node. */
export const CORE = ['protocol', 'mux', 'socks', 'exit', 'relay', 'client', 'api'] as const

export type Room = (typeof LAYERS)[number][number]

export const ROOMS: readonly Room[] = LAYERS.flat()

function layerOf(room: Room): number {
  return LAYERS.findIndex((layer) => layer.some((name) => name === room))
}

export function mayImport(from: Room, to: Room): boolean {
  return from === to || layerOf(to) < layerOf(from)
}
