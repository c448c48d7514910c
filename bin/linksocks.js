#!/usr/bin/env node
// Node would open its inspector on loopback, which users of the tunnel may reach
process.on('SIGUSR1', () => {})

// CommonJS, for this must come before the first use of libuv's thread pool, which loading an ES module is. getaddrinfo
// gets half of the pool: with the default of 4 threads, one peer's slow look-ups would hold up everybody's.
process.env.UV_THREADPOOL_SIZE ??= '64'

// a hang-up is about the terminal: where there is none (nohup, a service) it is no request to end
const { closeSync } = require('node:fs')
const { isatty } = require('node:tty')
const onTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor))

// Node sets the terminal back at the end, and aborts where that is gone; descriptors that are closed it leaves alone
let hungUp = false
process.on('SIGHUP', () => {
  hungUp = true
})
const end = (code) => {
  if (hungUp) for (const descriptor of [0, 1, 2]) closeQuietly(descriptor)
  process.exit(code)
}
function closeQuietly(descriptor) {
  try {
    closeSync(descriptor)
  } catch {
    // closed before
  }
}

// until main() listens for signals itself nothing is open: the request to end is met at once
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT', ...(onTerminal ? ['SIGHUP'] : [])]
const endEarly = () => end(0)
for (const signal of SIGNALS) process.on(signal, endEarly)

async function run() {
  const [{ main }, { processIo }] = await Promise.all([
    import('../dist/command/main.js'),
    import('../dist/command/io.js'),
  ])
  const io = processIo(SIGNALS)
  const onSignal = (listener) => {
    for (const signal of SIGNALS) process.off(signal, endEarly)
    return io.onSignal(listener)
  }
  return main(process.argv.slice(2), process.env, { ...io, onSignal })
}

// exits even where an aborted shutdown has left sockets open
void run().then(end)
