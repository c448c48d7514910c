import { LinkSocksError } from '../../errors.js'
import { type AccessList, accessList } from '../../exit/dial/access-rules.js'
import type { AccessRule, ServerAccessRules } from '../../ports.js'

/** What operators set for a whole server: an absent side stays as it is, an empty one lifts the limit. */
export type ServerAccessChange = ServerAccessRules

/** The rules that hold for a whole server, from the next connection on. */
export class ServerAccess {
  /** What SOCKS ports of reverse tokens without rules of their own let through. */
  readonly entry = (): AccessList | undefined => this.#entry
  /** What is dialled for forward clients. */
  readonly dial = (): AccessList | undefined => this.#dial
  readonly #given: ServerAccessRules
  #stored: ServerAccessRules = {}
  #entry: AccessList | undefined
  #dial: AccessList | undefined

  /**
   * @param given sides that the server begins with at each start, whatever was changed meanwhile
   * @throws {LinkSocksError} ERR_OPTION
   */
  constructor(given: ServerAccessRules = {}) {
    this.#given = given
    this.set(given)
  }

  get rules(): ServerAccessRules {
    return { entry: this.#entry?.rules, dial: this.#dial?.rules }
  }

  /** Goes on with what was stored, but for the sides that were given. */
  restore(stored: ServerAccessRules): void {
    const { entry, dial } = this.#given
    this.#stored = stored
    this.set({ entry: entry ?? stored.entry, dial: dial ?? stored.dial })
  }

  /** What is to be stored for `change`: a side that was given at the start is not. @throws {LinkSocksError} ERR_OPTION */
  after({ entry, dial }: ServerAccessChange): ServerAccessRules {
    return {
      entry: entry === undefined ? this.#stored.entry : sideOf('entry', entry)?.rules,
      dial: dial === undefined ? this.#stored.dial : sideOf('dial', dial)?.rules,
    }
  }

  /** `change` holds from now on, and `stored` is what {@link after} made of it. */
  apply(change: ServerAccessChange, stored: ServerAccessRules): void {
    this.#stored = stored
    this.set({ entry: change.entry ?? this.#entry?.rules, dial: change.dial ?? this.#dial?.rules })
  }

  /** Both sides as they are to be. @throws {LinkSocksError} ERR_OPTION */
  set({ entry, dial }: ServerAccessRules): void {
    const lists = [accessList(entry), accessList(dial)] as const
    this.#entry = lists[0]
    this.#dial = lists[1]
  }
}

function sideOf(name: string, rules: readonly AccessRule[]): AccessList | undefined {
  try {
    return accessList(rules)
  } catch (thrown) {
    throw new LinkSocksError('ERR_OPTION', `${name}: ${LinkSocksError.from(thrown, 'ERR_OPTION').message}`)
  }
}
