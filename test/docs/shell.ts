import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { ROOT, run, type ToolResult } from '../project/support.js'
import { callCurl } from './curl.js'

const LINKSOCKS = join(ROOT, 'bin/linksocks.js')

/** Runs the stand-in for curl: documents are run with nothing but Node. */
export async function curl(args: readonly string[]): Promise<ToolResult> {
  const chunks: Uint8Array[] = []
  const end = await callCurl(args, (chunk) => void chunks.push(Buffer.from(chunk)))
  return { ...end, stdout: Buffer.concat(chunks).toString() }
}

/** Calls the stand-in in the test's own process: a Node for each call would take longer than everything else. */
function curlScript(folder: string): string {
  return [
    '#!/bin/sh',
    // 1 is another file for as long as the shell writes to one
    'exec 3>&1 4>&2',
    `mkfifo '${folder}/'$$`,
    // written at once, so that calls don't mix
    `printf '%s\\0' $$ $# "$@" > '${folder}/calls'`,
    `read -r code < '${folder}/'$$`,
    'exit "$code"',
    '',
  ].join('\n')
}

/** Answers what `curlScript` asks for; output goes to where the script's own would. */
class CurlCalls {
  readonly #folder: string
  readonly #calls: Socket
  readonly #closed = new AbortController()
  #fields: string[] = []
  #rest = ''

  constructor(folder: string) {
    this.#folder = folder
    execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', join(folder, 'calls')])
    // open for both, the pipe has no end while nobody calls
    const fd = openSync(join(folder, 'calls'), constants.O_RDWR | constants.O_NONBLOCK)
    this.#calls = new Socket({ fd, readable: true, writable: false })
    this.#calls.setEncoding('utf8').on('data', (text: string) => this.#read(text))
  }

  close(): void {
    this.#closed.abort()
    this.#calls.destroy()
  }

  #read(text: string): void {
    const fields = (this.#rest + text).split('\0')
    this.#rest = fields.pop() ?? ''
    this.#fields.push(...fields)
    for (;;) {
      const [pid = '', count] = this.#fields
      if (count === undefined || this.#fields.length < 2 + Number(count)) return
      const [, , ...args] = this.#fields.splice(0, 2 + Number(count))
      void this.#answer(pid, args)
    }
  }

  async #answer(pid: string, args: readonly string[]): Promise<void> {
    const outputs = [3, 4].map((fd) => openSync(`/proc/${pid}/fd/${fd}`, constants.O_WRONLY | constants.O_APPEND))
    const [stdout = 1, stderr = 2] = outputs
    const write = (chunk: string | Uint8Array) => writeWhole(stdout, chunk)
    const end = await callCurl(args, write, this.#closed.signal)
    writeWhole(stderr, end.stderr)
    for (const fd of outputs) closeSync(fd)
    await writeFile(join(this.#folder, pid), `${end.code}\n`)
  }
}

function writeWhole(fd: number, chunk: string | Uint8Array): void {
  const bytes = Buffer.from(chunk)
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
}

/** A folder to run a document's commands in, with `curl` and `linksocks` at hand. */
export class Shell {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  readonly #calls: CurlCalls

  private constructor(folder: string, variables: Readonly<Record<string, string>>) {
    this.folder = folder
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('LINKSOCKS_'))
    const PATH = `${join(folder, 'bin')}${delimiter}${process.env.PATH ?? ''}`
    this.env = { ...Object.fromEntries(inherited), ...variables, PATH }
    this.#calls = new CurlCalls(join(folder, 'curl'))
  }

  static async open(variables: Readonly<Record<string, string>> = {}): Promise<Shell> {
    const folder = await mkdtemp(join(tmpdir(), 'linksocks-docs-'))
    for (const name of ['bin', 'curl']) await mkdir(join(folder, name))
    const programs = [
      ['linksocks', `#!/bin/sh\nexec '${process.execPath}' '${LINKSOCKS}' "$@"\n`],
      ['curl', curlScript(join(folder, 'curl'))],
    ] as const
    for (const [name, script] of programs) {
      const path = join(folder, 'bin', name)
      await writeFile(path, script)
      await chmod(path, 0o755)
    }
    return new Shell(folder, variables)
  }

  /** Runs a block of commands; the first that fails ends it. */
  async run(commands: string): Promise<ToolResult> {
    const outputs = ['stdout', 'stderr'].map((name) => join(this.folder, name))
    for (const path of outputs) await writeFile(path, '')
    // into files, which can be opened once more by their number; the sockets that Node hands to its children can't
    const redirected = 'exec sh -euc "$1" >> "$2" 2>> "$3"'
    const { code } = await run(
      'env',
      [...this.#assignments(), 'sh', '-c', redirected, 'sh', commands, ...outputs],
      this.folder,
    )
    const [stdout = '', stderr = ''] = await Promise.all(outputs.map((path) => readFile(path, 'utf8')))
    return { code, stdout, stderr }
  }

  async close(): Promise<void> {
    this.#calls.close()
    await rm(this.folder, { recursive: true, force: true })
  }

  #assignments(): readonly string[] {
    return [
      '-i',
      ...Object.entries(this.env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
    ]
  }
}
