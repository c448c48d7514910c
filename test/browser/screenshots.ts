/** Draws the pictures of docs/dashboard.md: a relay with demonstration data, in both themes and languages. */
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { expect, it } from 'vitest'
import type { Stats } from '../../dashboard/src/api/types.js'
import { en, type Messages } from '../../dashboard/src/text/en.js'
import { zh } from '../../dashboard/src/text/zh.js'
import { furnish } from './support/demo.js'
import type { FakeRelay } from './support/fake-relay.js'
import type { FakeState } from './support/fake-state.js'
import { FULL_KEY } from './support/relay.js'
import { goTo, rowOf, sceneOfFile, signIn } from './support/scene.js'

const FOLDER = fileURLToPath(new URL('../../docs/images/', import.meta.url))
const MAX_BYTES = 150_000
const SECONDS = 300
/** The relay's own, as it is seen in commands. */
const PORT = 8765

const scene = sceneOfFile()

/** Traffic with the ups and downs of a working day, the same in each run. */
function rates(second: number): { readonly received: number; readonly sent: number } {
  const wave = (period: number, phase: number): number => (1 + Math.sin((second + phase) / period)) / 2
  const noise = (seed: number): number => Math.abs(Math.sin((second + seed) * 12.9898) * 43_758.5453) % 1
  const burst = 2_600_000 * Math.exp(-(((second % 140) - 95) ** 2) / 260)
  return {
    received: 220_000 + 420_000 * wave(23, 0) + 110_000 * noise(1),
    sent: 900_000 + 900_000 * wave(41, 30) + 260_000 * noise(2) + burst,
  }
}

/** Totals follow the clock, so that every rate that is told is the rate of its time. */
class Traffic {
  readonly #state: FakeState
  readonly #began = Date.now() - SECONDS * 1_000
  #until = 0

  constructor(state: FakeState) {
    this.#state = state
    state.received = 11_240_000_000
    state.sent = 24_910_000_000
  }

  /** The last five minutes, second by second. */
  past(): readonly Stats[] {
    return Array.from({ length: SECONDS + 1 }, (_, second) => {
      this.#add(second)
      return { ...this.#state.stats(), time: new Date(this.#began + second * 1_000).toISOString() }
    })
  }

  goOn(): void {
    this.#add((Date.now() - this.#began) / 1_000)
  }

  #add(until: number): void {
    while (this.#until < until) {
      const next = Math.min(until, Math.floor(this.#until) + 1)
      const { received, sent } = rates(Math.floor(this.#until))
      this.#state.received += received * (next - this.#until)
      this.#state.sent += sent * (next - this.#until)
      this.#until = next
    }
  }
}

interface Studio {
  readonly relay: FakeRelay
  readonly page: Page
  readonly shoot: (name: string) => Promise<void>
}

/** The page at the address that others would use, signed in. */
async function studio(options: BrowserContextOptions, t: Messages): Promise<Studio> {
  const relay = await scene.relay('', PORT)
  const { state } = relay
  furnish(state)
  state.startedAt = new Date(Date.now() - 6.9 * 86_400_000).toISOString()
  const traffic = new Traffic(state)
  relay.past = traffic.past()
  relay.beforeStats = () => traffic.goOn()
  const url = relay.url.replace('127.0.0.1', 'relay.example.com')
  const page = await scene.open(url, { reducedMotion: 'reduce', ...options })
  const shoot = async (name: string): Promise<void> => {
    const { width, height } = page.viewportSize() ?? { width: 0, height: 0 }
    await page.mouse.move(width / 2, height - 10)
    const path = `${FOLDER}dashboard-${name}.png`
    await page.screenshot({ path })
    expect(statSync(path).size).toBeLessThan(MAX_BYTES)
  }
  await signIn(page, FULL_KEY, t)
  await page.getByText(t.connection.open, { exact: true }).waitFor()
  return { relay, page, shoot }
}

/** Something for the list of what has happened. */
async function happen({ relay: { state }, page }: Studio, t: Messages): Promise<void> {
  const [phone] = [...state.tokens.values()].filter(({ label }) => label === 'Grace’s phone')
  const [lab] = [...state.clients.values()].filter(({ address }) => address === '203.0.113.45')
  if (phone === undefined || lab === undefined) throw new Error('the demonstration data has changed')
  state.removeClient(lab.id)
  const provider = state.token(lab.token_id)
  state.addClient(provider, '203.0.113.45', { rtt_ms: 31.2, received_bytes: 92_600_000, sent_bytes: 15_300_000 })
  state.changeToken(phone.id, { label: 'Grace’s new phone' })
  state.addClient(state.token(phone.id), '203.0.113.132', { rtt_ms: 58.8 })
  await page.getByText('203.0.113.132').first().waitFor()
  await page.getByText(t.events['token.changed'] ?? '').waitFor()
  await page.locator('.figures').getByRole('link', { name: '10', exact: true }).waitFor()
  await page.waitForTimeout(1_500)
}

it('pictures, light', async () => {
  const made = await studio({ colorScheme: 'light' }, en)
  const { page, shoot } = made
  await happen(made, en)
  await shoot('overview')
  await goTo(page, 'Tokens')
  await rowOf(page, 'Laboratory').waitFor()
  await shoot('tokens')
  await page.getByRole('button', { name: 'Commands for Office network' }).click()
  await page.getByRole('dialog').getByText('LINKSOCKS_TOKEN').waitFor()
  await shoot('commands')
})

/** The editor of a policy, with a destination that was tried. */
async function openPolicy(page: Page, t: Messages): Promise<void> {
  await goTo(page, t.views.tokens)
  await page.setViewportSize({ width: 1000, height: 1_180 })
  await page.getByRole('button', { name: t.policy.openOf('Build machine') }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel(t.policy.target).fill('10.20.0.7:443')
  await page.keyboard.press('Enter')
  await dialog.getByText(t.policy.decides, { exact: true }).waitFor()
  await dialog.evaluate((node) => node.scrollTo(0, 0))
}

it.each([
  ['policy', en, 'en-GB'],
  ['policy-zh', zh, 'zh-CN'],
] as const)('picture of the editor: %s', async (name, t, locale) => {
  const { page, shoot } = await studio({ colorScheme: 'light', locale }, t)
  await openPolicy(page, t)
  await shoot(name)
})

it('picture of the usage, dark', async () => {
  const { page, shoot } = await studio({ colorScheme: 'dark', viewport: { width: 1280, height: 720 } }, en)
  await goTo(page, 'Tokens')
  await page.getByRole('button', { name: en.policy.openOf('Build machine') }).click()
  await page.getByRole('tab', { name: 'Usage' }).click()
  await page.getByRole('dialog').getByRole('meter').waitFor()
  await shoot('usage')
})

it('pictures, dark', async () => {
  const { page, shoot } = await studio({ colorScheme: 'dark', viewport: { width: 1280, height: 720 } }, en)
  await goTo(page, 'Streams')
  await rowOf(page, 'git.example.com').first().waitFor()
  await page.getByText('Build machine').first().waitFor()
  await shoot('streams')
  await goTo(page, 'Clients')
  await rowOf(page, 'Laboratory').waitFor()
  await shoot('clients')
})

it('pictures, on a phone', async () => {
  const { page, shoot } = await studio({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true }, en)
  await goTo(page, 'Clients')
  await rowOf(page, 'Laboratory').first().waitFor()
  await shoot('phone')
})

it('pictures, Chinese', async () => {
  const made = await studio({ colorScheme: 'light', locale: 'zh-CN' }, zh)
  const { page, shoot } = made
  await happen(made, zh)
  await shoot('overview-zh')
  await goTo(page, zh.views.tokens)
  await rowOf(page, 'Laboratory').waitFor()
  await shoot('tokens-zh')
})
