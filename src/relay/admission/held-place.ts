import type { Session, SessionHandler } from '../../mux/session.js'
import type { Admission } from './authenticate.js'
import { type HeldLinks, limitedInstance } from './held-links.js'
import { askForRelease, saysItKeepsChannels } from './peer-release.js'

type Control = NonNullable<SessionHandler['control']>

/** The place of an admitted client that may have one link only. */
export interface HeldPlace {
  /** Asks the client for its release, once its session has started. */
  ask(): void
  /** Listens for the answer, and passes every message on. */
  hear(next: SessionHandler['control']): Control
  /** Its session has ended. */
  release(): void
}

/**
 * Takes the place of the instance that was admitted; `undefined` for a client whose links are not limited.
 * @param replaced called when another link has taken it, and this one is going to be closed
 */
export function holdPlace(
  held: HeldLinks,
  admission: Admission,
  session: Session,
  replaced: () => void,
): HeldPlace | undefined {
  const key = limitedInstance(admission)
  if (key === undefined) return undefined
  // what the URL form refuses never was a link; in-band, 1.10.1 goes on with one that was closed without an answer
  const asked = admission.inBand
  // a provider sends its connector tokens as soon as it is in
  const lingers = admission.role === 'provider'
  held.hold(key, session, { replaced, asked, lingers })
  return {
    ask: () => {
      if (asked) session.control(askForRelease())
    },
    hear: (next) => (message) => {
      const keeps = saysItKeepsChannels(message)
      if (keeps !== undefined) held.keepsChannels(key, session, keeps)
      next?.(message)
    },
    release: () => held.release(key, session),
  }
}
