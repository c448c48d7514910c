import { Option } from 'commander'
import { LinkSocksError } from '../../errors.js'
import { readSecretFile } from './files.js'
import { type Flag, IN_ORDER, longName, type Occurrence } from './flags.js'
import { parseBoolean, parseText } from './values.js'

export type Environment = Readonly<Record<string, string | undefined>>

/** A text and the flag or variable it came from. */
interface Sourced {
  readonly name: string
  readonly text: string
}

/**
 * What the command line and the environment say. A flag wins over its variable and over the variable's `_FILE` form.
 * A variable that is set to nothing counts as not set, except for a token, key or password, where it is an error.
 * @throws {LinkSocksError} every method: ERR_OPTION, the message beginning with the flag or variable
 */
export class Settings {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #env: Environment

  /** @param values what commander collected: attribute name to text, texts (repeatable flags) or boolean */
  constructor(values: Readonly<Record<string, unknown>>, env: Environment) {
    this.#values = values
    this.#env = env
  }

  /** The flag or variable that sets `flag`, by the name its errors carry. */
  source(flag: Flag, fileFlag?: Flag): string | undefined {
    if (this.given(flag)) return longName(flag)
    if (fileFlag !== undefined && this.given(fileFlag)) return longName(fileFlag)
    if (flag.secret === true) return this.#secretVariables(flag)[0]?.name
    return this.#variable(flag)?.name
  }

  /** Whether the flag itself stands on the command line; its variable doesn't count. */
  given(flag: Flag): boolean {
    return this.#texts(flag).length > 0 || this.#switched(flag)
  }

  value<T>(flag: Flag, parse: (text: string) => T): T | undefined {
    const sourced = this.#texts(flag).at(-1) ?? this.#variable(flag)
    return sourced === undefined ? undefined : named(sourced.name, () => parse(sourced.text))
  }

  /** Every occurrence of a repeatable flag, in order. */
  values<T>(flag: Flag, parse: (text: string) => T): readonly T[] {
    return this.#texts(flag).map(({ name, text }) => named(name, () => parse(text)))
  }

  /** Every occurrence of a repeatable flag, else what its variable holds, separated by blanks or commas. */
  list<T>(flag: Flag, parse: (text: string) => T): readonly T[] | undefined {
    const given = this.values(flag, parse)
    return given.length > 0 ? given : this.value(flag, (text) => text.split(/[\s,]+/).map(parse))
  }

  /** Every occurrence of several flags, in the order of the command line. @param flags that are {@link Flag.ordered} */
  inOrder<T>(flags: readonly Flag[], parse: (text: string, flag: Flag) => T): readonly T[] {
    const occurrences = (this.#values[IN_ORDER] ?? []) as readonly Occurrence[]
    return occurrences.flatMap(([name, text]) => {
      const flag = flags.find((one) => longName(one) === name)
      return flag === undefined ? [] : [named(name, () => parse(text, flag))]
    })
  }

  /** A flag without a value, or its variable. */
  enabled(flag: Flag): boolean {
    if (this.#switched(flag)) return true
    const variable = this.#variable(flag)
    return variable !== undefined && named(variable.name, () => parseBoolean(variable.text))
  }

  async secret<T>(flag: Flag, parse: (text: string) => T, fileFlag?: Flag): Promise<T | undefined> {
    return (await this.secrets(flag, parse, fileFlag)).at(-1)
  }

  /** As {@link secret}, for repeatable flags; the variable stands for one value. */
  async secrets<T>(flag: Flag, parse: (text: string) => T, fileFlag?: Flag): Promise<readonly T[]> {
    const texts = this.#texts(flag)
    const files = fileFlag === undefined ? [] : this.#texts(fileFlag)
    if (texts.length > 0 && files[0] !== undefined) throw conflict(files[0].name, longName(flag))
    if (texts.length > 0) return texts.map(({ name, text }) => named(name, () => parse(text)))
    const file = files.at(-1)
    if (file !== undefined) return [await secretFile(file, parse, flag.fileLimit)]
    const [variable, other] = this.#secretVariables(flag)
    if (variable === undefined) return []
    if (other !== undefined) throw conflict(other.name, variable.name)
    if (variable.name.endsWith('_FILE')) return [await secretFile(variable, parse, flag.fileLimit)]
    return [named(variable.name, () => parse(variable.text))]
  }

  /** What commander collected for `flag`, as a list. */
  #texts(flag: Flag): readonly Sourced[] {
    const option = new Option(flag.flags)
    // a --no- flag shares its attribute with the flag it takes back
    if (option.negate) return []
    const value = this.#values[option.attributeName()]
    const texts = Array.isArray(value) ? value : [value]
    const name = longName(flag)
    return texts.filter((text) => typeof text === 'string').map((text) => ({ name, text }))
  }

  #switched(flag: Flag): boolean {
    const option = new Option(flag.flags)
    return this.#values[option.attributeName()] === !option.negate
  }

  #variable(flag: Flag): Sourced | undefined {
    const name = flag.variable
    const text = name === undefined ? undefined : this.#env[name]?.trim()
    return name === undefined || text === undefined || text === '' ? undefined : { name, text }
  }

  #secretVariables(flag: Flag): readonly Sourced[] {
    if (flag.variable === undefined) return []
    return [flag.variable, `${flag.variable}_FILE`].flatMap((name) => {
      const text = this.#env[name]
      return text === undefined || (text === '' && flag.optionalSecret === true) ? [] : [{ name, text }]
    })
  }
}

/** Runs `parse` and puts `name` before the message of what it throws. */
function named<T>(name: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw optionError(name, LinkSocksError.from(cause, 'ERR_OPTION').message, cause)
  }
}

async function secretFile<T>({ name, text }: Sourced, parse: (text: string) => T, limit?: number): Promise<T> {
  try {
    return parse(await readSecretFile(parseText(text), limit))
  } catch (cause) {
    throw optionError(name, LinkSocksError.from(cause, 'ERR_OPTION').message, cause)
  }
}

function conflict(name: string, other: string): LinkSocksError {
  return optionError(name, `cannot be combined with ${other}`)
}

/** The error of one flag or variable. */
export function optionError(name: string, message: string, cause?: unknown): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', `${name}: ${message}`, { cause })
}
