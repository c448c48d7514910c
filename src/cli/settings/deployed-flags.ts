import { optionError, type Settings } from './environment.js'
import { type Flag, longName, OTHER } from './flags.js'
import { ignoredIfGiven, type Notice } from './plan.js'
import { parseChoice } from './values.js'

/*
 * Flags of the deployed command since 1.10 whose subject is not here: command lines that have them go on working. None is
 * worth a line in `--help`.
 */

const accepted = (flags: string, more: Partial<Flag> = {}): Flag => ({
  flags,
  help: 'without effect: accepted because deployed versions have it',
  group: OTHER,
  hidden: true,
  ...more,
})

const TRANSPORT_GRACE = accepted('--transport-grace <duration>')

const DIRECT_MODE = accepted('--direct-mode <mode>')
const DIRECT_MODES = ['auto', 'relay-only', 'direct-only'] as const

const CLIENT_DIRECT_FLAGS: readonly Flag[] = [
  DIRECT_MODE,
  accepted('--direct-discovery <way>'),
  accepted('--direct-host-candidates <when>'),
  accepted('--stun-server <host:port>', { repeatable: true }),
  accepted('--direct-only-action <action>'),
  accepted('--direct-upnp'),
  accepted('--direct-upnp-lease <duration>'),
  accepted('--direct-upnp-keep'),
  accepted('--direct-upnp-external-port <port>'),
]
const SERVER_DIRECT_FLAGS: readonly Flag[] = [
  accepted('--direct-enable'),
  accepted('--direct-rendezvous-udp'),
  accepted('--direct-rendezvous-host <host>'),
  accepted('--direct-rendezvous-port <port>'),
]

export const DEPLOYED_CLIENT_FLAGS: readonly Flag[] = [TRANSPORT_GRACE, ...CLIENT_DIRECT_FLAGS]
export const DEPLOYED_SERVER_FLAGS: readonly Flag[] = [TRANSPORT_GRACE, ...SERVER_DIRECT_FLAGS]

/** @throws {LinkSocksError} ERR_OPTION: a mode that must not use the relay can't be had */
export function checkDirectMode(settings: Settings): void {
  const mode = settings.value(DIRECT_MODE, (text) => parseChoice(text.trim().toLowerCase(), DIRECT_MODES))
  if (mode !== 'direct-only') return
  throw optionError(
    longName(DIRECT_MODE),
    'direct-only is not possible: this version has no direct path, all goes through the server',
  )
}

/** A notice for each of the deployed flags that stands on the command line. */
export function deployedNotices(settings: Settings): readonly Notice[] {
  const direct = [...CLIENT_DIRECT_FLAGS, ...SERVER_DIRECT_FLAGS]
  return [
    ...ignoredIfGiven(settings, [TRANSPORT_GRACE], 'streams wait for a lost connection as --resume-timeout says'),
    ...ignoredIfGiven(settings, direct, 'there is no direct path: all goes through the server'),
  ]
}
