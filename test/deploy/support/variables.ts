import { clientFlags } from '../../../src/cli/settings/client-flags.js'
import { SERVER_FLAGS } from '../../../src/cli/settings/server-flags.js'

const FLAGS = [...SERVER_FLAGS, ...clientFlags('client')]

/** Every variable that the program reads. */
export const VARIABLES: ReadonlySet<string> = new Set([
  'LINKSOCKS_MODE',
  ...FLAGS.flatMap(({ variable, secret }) => {
    if (variable === undefined) return []
    return secret === true ? [variable, `${variable}_FILE`] : [variable]
  }),
])

/** The variables of ours that a text names. */
export function variablesNamed(text: string): readonly string[] {
  return [...new Set(text.match(/\bLINKSOCKS_\w+/g))]
}

/** Milliseconds that SIGTERM leaves to streams, unless told otherwise. */
export function drainMs(): number {
  const seconds = /^(\d+)s$/.exec(FLAGS.find(({ flags }) => flags.startsWith('--drain-timeout'))?.fallback ?? '')?.[1]
  if (seconds === undefined) throw new Error('--drain-timeout has no default in seconds')
  return Number(seconds) * 1_000
}
