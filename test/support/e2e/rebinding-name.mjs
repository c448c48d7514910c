// Loaded before the program: REBINDING_NAME resolves to 127.0.0.1 at first, and from then on to 127.0.0.2.
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const real = dns.lookup
let asked = 0

dns.lookup = (name, options, done) => {
  if (name !== process.env.REBINDING_NAME) return real(name, options, done)
  asked += 1
  const found = [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]
  process.nextTick(() => done(null, found))
}
syncBuiltinESMExports()
