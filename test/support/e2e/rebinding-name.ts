import { fileURLToPath } from 'node:url'

const MODULE = fileURLToPath(new URL('rebinding-name.mjs', import.meta.url))

export const REBINDING_NAME = 'rebind.test'

/** The environment of a process to which {@link REBINDING_NAME} is 127.0.0.1 when it first asks, and 127.0.0.2 later. */
export const REBINDING = { NODE_OPTIONS: `--import=${MODULE}`, REBINDING_NAME } as const
