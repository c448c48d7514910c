import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { patience } from '../../support/wait.js'

/** Debian's; another one by CHROMIUM. */
const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // an address that isn't this machine's by its name
  '--host-resolver-rules=MAP relay.example.com 127.0.0.1',
]
/** How long a browser may take to end by itself. */
const END_MS = 5_000

export interface RunningBrowser {
  readonly browser: Browser
  close(): Promise<void>
}

/** Starts a browser with a profile of its own, which goes with it. */
export async function startBrowser(): Promise<RunningBrowser> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: test/browser/install.sh installs it`)
  const server = await chromium.launchServer({ executablePath: PROGRAM, args: ARGS, headless: true })
  const browser = await chromium.connect(server.wsEndpoint())
  const close = async (): Promise<void> => {
    const child = server.process()
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
    await browser.close()
    await server.close()
    clearTimeout(timer)
  }
  return { browser, close }
}

/** What a page must never do, collected while it runs. */
export interface Watched {
  readonly page: Page
  readonly context: BrowserContext
  /** Requests so far. */
  readonly requested: readonly string[]
  /** Violations of the policy, errors nobody caught, requests to other origins; empty when all is well. */
  problems(): Promise<readonly string[]>
}

const DEFAULTS: BrowserContextOptions = { locale: 'en-GB', viewport: { width: 1280, height: 800 } }

export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ ...DEFAULTS, ...options })
  const problems: string[] = []
  const requested: string[] = []
  await context.exposeFunction('reportViolation', (text: string) => problems.push(text))
  await context.addInitScript(() => {
    const report = (window as { reportViolation?: (text: string) => void }).reportViolation
    document.addEventListener('securitypolicyviolation', (event) => {
      report?.(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`)
    })
  })
  const page = await context.newPage()
  page.setDefaultTimeout(patience())
  page.on('pageerror', (error) => problems.push(`error: ${error.stack}`))
  page.on('console', (message) => {
    const expected = /Failed to load resource|net::ERR_|Cross-Origin-Opener-Policy header has been ignored/.test(
      message.text(),
    )
    if (message.type() === 'error' && !expected) problems.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    requested.push(request.url())
    const { origin } = new URL(page.url() === 'about:blank' ? request.url() : page.url())
    if (new URL(request.url()).origin !== origin) problems.push(`request: ${request.url()}`)
  })
  return { page, context, requested, problems: async () => problems }
}
