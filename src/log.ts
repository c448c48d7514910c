/** What a log line may carry besides its event name. Secrets never belong here. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Where the library reports events. `event` is a stable dotted name such as `channel.opened`. */
export interface Logger {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

const ignore = (): void => {}

/** The default: says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** Longest text of a peer that reaches a log, an error or a terminal; more is cut. */
export const REMOTE_TEXT_LIMIT = 512

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/**
 * Makes a peer's text safe to show: cut to {@link REMOTE_TEXT_LIMIT} characters; control, bidi and other
 * invisible characters are written as `\u{...}`.
 */
export function remoteText(text: string): string {
  const shown = text.length > REMOTE_TEXT_LIMIT ? `${text.slice(0, REMOTE_TEXT_LIMIT)}...` : text
  return shown.replace(UNSAFE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

/** A logger that adds `fields` to every line. */
export function logWith(log: Logger, fields: LogFields): Logger {
  return {
    debug: (event, more) => log.debug(event, { ...fields, ...more }),
    info: (event, more) => log.info(event, { ...fields, ...more }),
    warn: (event, more) => log.warn(event, { ...fields, ...more }),
    error: (event, more) => log.error(event, { ...fields, ...more }),
  }
}

/** Lines that one peer may provoke in {@link PERIOD_MS}, unless it is said otherwise. */
const MAX_LINES = 50
/** Lines that one peer sends and that are written in {@link PERIOD_MS}: they take nothing from those above. */
const MAX_REMOTE_LINES = 20
const PERIOD_MS = 10_000

export interface LimitedLogOptions {
  /** Lines of 10 s that are written; the others are only counted. @default 50 */
  readonly maxLines?: number | undefined
  /** Event of the warning that says how many lines were not written, once 10 s are over. @default 'log.suppressed' */
  readonly event?: string | undefined
}

/** A logger for what one peer provokes: it writes only so many lines in a period. `now` gives milliseconds. */
export function limitedLog(
  log: Logger,
  now: () => number,
  { maxLines = MAX_LINES, event: suppressed = 'log.suppressed' }: LimitedLogOptions = {},
): Logger {
  let since = Number.NEGATIVE_INFINITY
  let lines = 0
  const mayWrite = (): boolean => {
    const time = now()
    if (time - since >= PERIOD_MS) {
      if (lines > maxLines) log.warn(suppressed, { lines: lines - maxLines })
      since = time
      lines = 0
    }
    lines += 1
    return lines <= maxLines
  }
  const limit =
    (write: (event: string, fields?: LogFields) => void) =>
    (event: string, fields?: LogFields): void => {
      if (mayWrite()) write(event, fields)
    }
  return {
    debug: limit((event, fields) => log.debug(event, fields)),
    info: limit((event, fields) => log.info(event, fields)),
    warn: limit((event, fields) => log.warn(event, fields)),
    error: limit((event, fields) => log.error(event, fields)),
  }
}

/** A logger for the lines that one peer sends, apart from what is said about it. `now` gives milliseconds. */
export function remoteLog(log: Logger, now: () => number): Logger {
  return limitedLog(log, now, { maxLines: MAX_REMOTE_LINES, event: 'remote.suppressed' })
}

/**
 * A logger for the channels of one peer: warnings are the peer's doing and go to `limited`, while what it only uses is
 * logged to `log` for debugging, all of it.
 */
export function peerLog(log: Logger, limited: Logger): Logger {
  return { ...limited, debug: (event, fields) => log.debug(event, fields) }
}
