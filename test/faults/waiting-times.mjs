// Loaded before the program, which then waits WAIT_FACTOR times as long for HTTP headers, and with timers of 5 s and more.
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'

const LEAST_MS = 5_000
const MOST_MS = 2 ** 31 - 1
const factor = Number(process.env.WAIT_FACTOR)
const { createServer } = http
const { setTimeout } = globalThis

/** Of what is not set Node knows the time. */
const scaled = (ms) => (ms === undefined ? undefined : Math.min(MOST_MS, ms * factor))

http.createServer = (settings, ...rest) => {
  const { headersTimeout, requestTimeout, connectionsCheckingInterval } = settings
  const times = {
    headersTimeout: scaled(headersTimeout),
    // never the first of the two
    requestTimeout: requestTimeout === undefined ? undefined : Math.max(requestTimeout, scaled(requestTimeout)),
    connectionsCheckingInterval: scaled(connectionsCheckingInterval),
  }
  return createServer({ ...settings, ...times }, ...rest)
}
syncBuiltinESMExports()

globalThis.setTimeout = (callback, ms, ...args) => setTimeout(callback, ms >= LEAST_MS ? scaled(ms) : ms, ...args)
