import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { LinkSocksError } from '../../errors.js'
import { errorCode } from '../system/error-code.js'
import { putInPlace, unfinishedName, writeNewFile } from './durable-files.js'
import { DATA_KEY_BYTES, DATA_KEY_FORMS, dataKeyEncoding } from './key-form.js'

/**
 * The key that an operator gave.
 * @throws {LinkSocksError} ERR_OPTION; the text is a secret and is not repeated
 */
export function parseDataKey(text: string): KeyObject {
  const key = keyOf(text)
  if (key !== undefined) return key
  throw new LinkSocksError('ERR_OPTION', `dataKey must be ${DATA_KEY_FORMS}, such as \`openssl rand -hex 32\` prints`)
}

/**
 * The key in a file.
 * @returns `undefined` when there is no such file
 * @throws {LinkSocksError} ERR_STORE (it can't be read, or holds something else)
 */
export async function readKeyFile(path: string): Promise<KeyObject | undefined> {
  const text = await textOf(path)
  if (text === undefined) return undefined
  const key = keyOf(text.trim())
  if (key !== undefined) return key
  const advice = 'put a backup of it in its place'
  throw new LinkSocksError('ERR_STORE', `the key file ${path} is damaged, it must hold ${DATA_KEY_FORMS}: ${advice}`)
}

/** Makes a key file, unless another process is first, and gives the key that is in it then. */
export async function makeKeyFile(path: string): Promise<KeyObject> {
  const unfinished = unfinishedName(path)
  try {
    await writeNewFile(unfinished, `${randomBytes(DATA_KEY_BYTES).toString('hex')}\n`)
    await putInPlace(unfinished, path)
  } finally {
    await rm(unfinished, { force: true })
  }
  const key = await readKeyFile(path)
  if (key === undefined) throw new LinkSocksError('ERR_STORE', `the key file ${path} is gone`)
  return key
}

function keyOf(text: string): KeyObject | undefined {
  const encoding = dataKeyEncoding(text)
  return encoding === undefined ? undefined : createSecretKey(text, encoding)
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'latin1')
  } catch (cause) {
    const code = errorCode(cause)
    if (code === 'ENOENT') return undefined
    throw new LinkSocksError('ERR_STORE', `can't read the key file ${path}: ${code}`, { cause })
  }
}
