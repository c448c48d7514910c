/** Draws the pictures of docs/dashboard.md: a relay with demonstration data, in both themes. */
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { Stats } from '../../dashboard/src/api/types.js'
import { furnish } from './support/demo.js'
import type { FakeState } from './support/fake-state.js'
import { goTo, rowOf, sceneOfFile, signIn } from './support/scene.js'

const FOLDER = fileURLToPath(new URL('../../docs/images/', import.meta.url))
const MAX_BYTES = 150_000
const SECONDS = 300

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

function addTraffic(state: FakeState, second: number): void {
  const { received, sent } = rates(second)
  state.received += received
  state.sent += sent
}

/** The last five minutes, second by second. */
function pastOf(state: FakeState): readonly Stats[] {
  const past: Stats[] = []
  state.received = 11_240_000_000
  state.sent = 24_910_000_000
  for (let second = 0; second < SECONDS; second++) {
    addTraffic(state, second)
    const time = new Date(Date.now() - (SECONDS - 1 - second) * 1_000).toISOString()
    past.push({ ...state.stats(), time })
  }
  return past
}

it.each(['light', 'dark'] as const)('pictures, %s', async (colorScheme) => {
  const relay = await scene.relay()
  const { state } = relay
  furnish(state)
  state.startedAt = new Date(Date.now() - 6.9 * 86_400_000).toISOString()
  relay.past = pastOf(state)
  const page = await scene.open(relay.url, { colorScheme, reducedMotion: 'reduce' })
  const shoot = async (view: string): Promise<void> => {
    await page.mouse.move(640, 790)
    const path = `${FOLDER}dashboard-${view}-${colorScheme}.png`
    await page.screenshot({ path })
    expect(statSync(path).size).toBeLessThan(MAX_BYTES)
  }
  let second = SECONDS
  relay.beforeStats = () => addTraffic(state, second++)
  await signIn(page)
  await page.getByText('Live', { exact: true }).waitFor()
  const [tablet] = [...state.tokens.values()].filter(({ label }) => label === 'Grace’s phone')
  const [lab] = [...state.clients.values()].filter(({ address }) => address === '203.0.113.45')
  if (tablet === undefined || lab === undefined) throw new Error('the demonstration data has changed')
  state.removeClient(lab.id)
  const provider = state.token(lab.token_id)
  state.addClient(provider, '203.0.113.45', { rtt_ms: 31.2, received_bytes: 92_600_000, sent_bytes: 15_300_000 })
  state.changeToken(tablet.id, { label: 'Grace’s new phone' })
  state.addClient(state.token(tablet.id), '203.0.113.132', { rtt_ms: 58.8 })
  await page.getByText('203.0.113.132').first().waitFor()
  await page.getByText('Token changed').waitFor()
  await page.locator('.figures').getByRole('link', { name: '10', exact: true }).waitFor()
  await shoot('overview')
  await goTo(page, 'Tokens')
  await rowOf(page, 'Laboratory').waitFor()
  await shoot('tokens')
  await goTo(page, 'Streams')
  await rowOf(page, 'git.example.com').first().waitFor()
  await page.getByText('Build machine').first().waitFor()
  await shoot('streams')
})
