import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PeerProcess } from '../../interop/support/peer-process.js'
import { findProgram, folderOf } from '../../interop/support/proxies/reverse-proxy.js'
import { ROOT, run } from '../../project/support.js'
import type { Scene } from '../../support/e2e/scene.js'
import { eventually } from '../../support/wait.js'

const NSENTER = findProgram('nsenter') ?? ''
/** Processes that are killed take this long at most to be gone. */
const END_MS = 20_000
const SCRIPT = join(ROOT, 'test/deploy/machine.sh')

/** Whether systemd can run here as it does on a machine: as root, with namespaces and cgroups of its own. */
export async function canBootSystemd(): Promise<boolean> {
  if (cgroupRoot() === undefined || NSENTER === '') return false
  return (await run('sh', [SCRIPT, 'check']).catch(() => ({ code: 1 }))).code === 0
}

/** Where the second version of cgroups is mounted. */
function cgroupRoot(): string | undefined {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2')?.[1]
}

export interface Answer {
  readonly code: number
  readonly text: string
}

/** A systemd that runs for a test, with units and secrets of the test and the command of this checkout; test/deploy/machine.sh. */
export class SystemdMachine {
  readonly #folder: string
  readonly #process: PeerProcess
  #init = 0

  private constructor(folder: string, machine: PeerProcess) {
    this.#folder = folder
    this.#process = machine
  }

  /** @param units by name; a folder's name may be part of it. @param secrets of /etc/linksocks */
  static async boot(
    scene: Scene,
    units: Readonly<Record<string, string>>,
    secrets: Readonly<Record<string, string>>,
  ): Promise<SystemdMachine> {
    const folder = folderOf(scene)
    // services write here, as users of their own
    chmodSync(folder, 0o755)
    for (const [kind, files] of Object.entries({ units, secrets })) {
      mkdirSync(join(folder, kind))
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(join(folder, kind, name, '..'), { recursive: true })
        writeFileSync(join(folder, kind, name), text)
      }
    }
    const cgroup = join(cgroupRoot() ?? '', `linksocks-test-${process.pid}-${Date.now()}`)
    const machine = new PeerProcess(['sh', SCRIPT, cgroup, folder, ROOT, process.execPath])
    scene.own(async () => {
      // also where the test's time is over
      await machine.end('SIGKILL').catch(() => {})
      await eventually('end of all processes of the machine', () => removeCgroups(cgroup), END_MS)
    })
    const booted = new SystemdMachine(folder, machine)
    await booted.#waitForSystemd()
    return booted
  }

  /** Runs a program inside. */
  async run(...command: readonly string[]): Promise<Answer> {
    const inside = ['--target', `${this.#init}`, '--mount', '--pid', '--ipc', '--uts', '--cgroup', ...command]
    return await new Promise((resolve) => {
      execFile(NSENTER, inside, { env: { PATH: '/usr/local/bin:/usr/bin:/bin' } }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ code, text: `${stdout}${stderr}`.trim() })
      })
    })
  }

  async systemctl(...args: readonly string[]): Promise<Answer> {
    return await this.run('systemctl', '--no-pager', ...args)
  }

  /** A property of a unit, as `systemctl show` has it. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.systemctl('show', '--value', `--property=${name}`, unit)).text
  }

  /** What systemd itself said. */
  get console(): string {
    return this.#process.output
  }

  /** What services wrote to a file of /mnt/shared. */
  log(name: string): string {
    const path = join(this.#folder, name)
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }

  async #waitForSystemd(): Promise<void> {
    await eventually(
      () => `answer of systemd; it said: ${this.#process.tail}`,
      async () => {
        const children = (await run('pgrep', ['--parent', `${this.#process.pid}`])).stdout.trim()
        this.#init = Number(children)
        if (!/^\d+$/.test(children)) return undefined
        return (await this.systemctl('is-active', 'machine.target')).code === 0 ? true : undefined
      },
    )
  }
}

/** Removes a cgroup and those below it, once no process is in them. */
function removeCgroups(folder: string): true | undefined {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeCgroups(join(folder, entry.name))
    }
    rmdirSync(folder)
    return true
  } catch {
    return undefined
  }
}
