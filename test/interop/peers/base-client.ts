import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { type Scene, sha256 } from '../../support/e2e/scene.js'
import { within } from '../../support/wait.js'
import { BaseLink } from './base-link.js'
import { auth } from './base-wire.js'

export interface ClientOptions {
  readonly token: string
  readonly reverse: boolean
  /** In the URL, in the first message, or (as some do) both. @default 'url' */
  readonly form?: 'url' | 'in-band' | 'both'
  /** @default a new one */
  readonly instance?: string
  /** @default 0x01 */
  readonly version?: number
}

/** The query of a deployed client, its keys sorted. */
function urlForm({ token, reverse, instance }: ClientOptions & { readonly instance: string }): string {
  return `?instance=${instance}&reverse=${reverse}&token=${sha256(token)}`
}

/** Connects a scripted client of any role; the server's answer is the next message. */
export async function knock(scene: Scene, url: string, options: ClientOptions): Promise<BaseLink> {
  const { form = 'url', instance = randomUUID(), token, reverse } = options
  const query = form === 'in-band' ? '' : urlForm({ ...options, instance })
  const ws = new WebSocket(`${url}/socket${query}`, { perMessageDeflate: false })
  scene.own(() => ws.terminate())
  // in the tick of the upgrade: what comes with it is not missed
  const link = new Promise<BaseLink>((resolve) => {
    ws.on('upgrade', (response) => resolve(new BaseLink(ws, response.socket)))
  })
  await within(once(ws, 'open'), 'open WebSocket')
  const opened = await link
  opened.version = options.version ?? opened.version
  if (form !== 'url') opened.send(auth(token, reverse, instance.replaceAll('-', '')))
  return opened
}

/** The same, admitted. */
export async function baseClient(scene: Scene, url: string, options: ClientOptions): Promise<BaseLink> {
  const link = await knock(scene, url, options)
  const answer = await link.next('authResponse')
  if (!answer.success) throw new Error(`refused: ${answer.error}`)
  return link
}
