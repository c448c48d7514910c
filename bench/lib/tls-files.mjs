import { fileURLToPath } from 'node:url'

const FOLDER = new URL('../../test/support/tls/', import.meta.url)
const pathOf = (/** @type {string} */ name) => fileURLToPath(new URL(name, FOLDER))

/** The authority that signed the certificate. */
export const CA_FILE = pathOf('ca.pem')
/** Names localhost and 127.0.0.1. */
export const CERT_FILE = pathOf('server.pem')
export const KEY_FILE = pathOf('server.key')
