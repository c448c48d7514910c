import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scene } from '../../../support/e2e/scene.js'
import { freePort } from '../../../support/ports.js'
import { eventually } from '../../../support/wait.js'
import { PeerProcess } from '../peer-process.js'

/** Where system programs are that an ordinary PATH does not name. */
const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** A program's path; `undefined` where it is not installed. */
export function findProgram(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find(existsSync)
}

/** A new folder of the scene. */
export function folderOf(scene: Scene): string {
  const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
  scene.own(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface FrontOptions {
  /** Of our server. */
  readonly targetPort: number
  /** The front's own port. @default a free one */
  readonly port?: number
  /** Seconds without traffic after which it cuts a WebSocket. @default 60, as nginx has it */
  readonly idleSeconds?: number
  /** PEM file with certificates and key: the port speaks TLS then. */
  readonly certificate?: string
  /** Address its connections to our server come from. @default the system's choice */
  readonly source?: string
}

/** A reverse proxy that runs as a child of the test. */
export interface Front {
  readonly port: number
  readonly process: PeerProcess
  /** Ends it at once, its workers and their connections too. */
  end(): Promise<void>
}

/** One of the programs that people put in front of servers. */
export interface FrontKind {
  readonly name: string
  /** Its path; `undefined` where it is not installed. */
  readonly program: string | undefined
  start(scene: Scene, options: FrontOptions): Promise<Front>
}

/** Runs a program with a configuration in a folder of its own, until the scene ends. */
export async function startFront(
  scene: Scene,
  [host, port]: readonly [string, number],
  configuration: (folder: string) => string,
  command: (file: string, folder: string) => readonly string[],
): Promise<Front> {
  const folder = folderOf(scene)
  const file = join(folder, 'configuration')
  writeFileSync(file, configuration(folder))
  const process = new PeerProcess(command(file, folder))
  const end = async (): Promise<void> => {
    // SIGKILL would leave its workers alone
    await process.end('SIGTERM')
  }
  scene.own(end)
  await eventually(`listener at ${host}:${port}`, () => accepting(host, port)).catch((error: Error) => {
    throw new Error(`${error.message}; its output ends:\n${process.tail}`)
  })
  return { port, process, end }
}

function accepting(host: string, port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket
      .on('error', () => resolve(undefined))
      .on('connect', () => {
        socket.destroy()
        resolve(true)
      })
  })
}

export function portOf({ port }: FrontOptions): Promise<number> | number {
  return port ?? freePort()
}
