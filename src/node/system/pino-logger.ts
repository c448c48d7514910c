import { pino } from 'pino'
import pinoPretty from 'pino-pretty'
import { type LogFields, type Logger, remoteText } from '../../log.js'
import { redactSecrets } from '../../redact.js'

/** Where the lines go, one `write()` for each; standard error of the process, or a list in tests. */
export interface LogDestination {
  write(line: string): unknown
}

export interface LoggerOptions {
  /** `text`: `HH:MM:SS level event key=value`; `json`: one object a line with `level`, `time` and `event`. */
  readonly format: 'text' | 'json'
  /** `trace` shows what `debug` shows; the two differ in what the library is asked to log. */
  readonly level: 'info' | 'debug' | 'trace'
  readonly destination: LogDestination
  /** Colours for a terminal, with format `text`. @default false */
  readonly colors?: boolean | undefined
}

/** Names that the JSON form gives a meaning of its own; a field of that name gets a `_` behind it. */
const RESERVED = new Set(['level', 'time', 'event'])

/**
 * A Logger on pino. Lines are written before the call returns, so that none is lost when the process ends. A
 * destination that fails loses lines and nothing else.
 */
export function createLogger({ format, level, destination, colors = false }: LoggerOptions): Logger {
  const render = format === 'text' ? textRenderer(colors) : (line: string) => line
  const sink = {
    write(line: string): void {
      try {
        destination.write(render(line))
      } catch {
        // a log that can't be written must not end what it is a log of
      }
    },
  }
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  )
  const writer =
    (label: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, fields?: LogFields): void => {
      // each connection has its debug lines: where nobody reads them they must cost nothing
      if (logger.isLevelEnabled(label)) logger[label](safeFields(fields), event)
    }
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') }
}

function safeFields(fields: LogFields = {}): Record<string, string | number | boolean> {
  const safe: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    safe[RESERVED.has(name) ? `${name}_` : name] = typeof value === 'string' ? redactSecrets(value) : value
  }
  return safe
}

const LEVEL_COLORS = { debug: 'blue', info: 'green', warn: 'yellow', error: 'red' } as const

/** Turns pino's JSON line into a line for people. */
function textRenderer(colors: boolean): (line: string) => string {
  const pretty = pinoPretty.prettyFactory({
    colorize: colors,
    // else the whole line would be cyan
    customColors: 'message:reset',
    hideObject: true,
    ignore: 'time,level',
    messageKey: 'event',
    messageFormat: (log, _messageKey, _levelLabel, { colors: paint }) => {
      const { time, level, event, ...fields } = log
      const label = String(level)
      const paintLevel = paint[LEVEL_COLORS[label as keyof typeof LEVEL_COLORS] ?? 'reset']
      const pairs = Object.entries(fields).map(([name, value]) => ` ${paint.dim(`${name}=`)}${fieldText(value)}`)
      return `${paint.dim(clockTime(String(time)))} ${paintLevel(label)} ${String(event)}${pairs.join('')}`
    },
  })
  return (line) => pretty(line)
}

/** `HH:MM:SS` of an ISO time, in the zone of this machine. */
function clockTime(iso: string): string {
  const time = new Date(iso)
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}

/** Quoted when it would not read as one word. */
function fieldText(value: unknown): string {
  const text = remoteText(String(value))
  return typeof value === 'string' && !/^[^\s"=]+$/.test(text) ? JSON.stringify(text) : text
}
