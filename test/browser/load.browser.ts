import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import type { FakeState } from './support/fake-state.js'
import { goTo, sceneOfFile, signIn } from './support/scene.js'

/** All that the page loads, compressed. */
const MAX_BYTES = 300_000
/** The aim is a second on loopback; machines are shared. */
const MAX_PAINT_MS = 3_000
/** One frame that a person notices; while a list scrolls, few may take so long. */
const LONG_TASK_MS = 200
const MAX_LONG_TASKS = 6
const STREAMS = 5_000
const TOKENS = 500

const scene = sceneOfFile()

function say(text: string): void {
  process.stdout.write(`    ${text}\n`)
}

function fill(state: FakeState): void {
  for (let count = 0; count < TOKENS; count++) {
    state.addToken({ type: 'forward', label: `Token ${count}`, token: `token-${count}-secret` })
  }
  const tokens = [...state.tokens.values()]
  for (let count = 0; count < STREAMS; count++) {
    const token = tokens[count % TOKENS]
    if (token !== undefined) state.addStream({ token_id: token.id, target: `host-${count}.example.com:443` })
  }
}

interface Smoothness {
  readonly frames: number
  readonly medianMs: number
  readonly worstMs: number
  readonly longTasks: number
}

/** Scrolls from top to bottom and looks at every frame. */
async function scrollThrough(page: Page, frames: number): Promise<Smoothness> {
  return await page.evaluate(
    async ([count, longMs]) => {
      const scroller = document.querySelector('.table')
      if (scroller === null) throw new Error('no table')
      const tasks: number[] = []
      const observer = new PerformanceObserver((list) => {
        tasks.push(...list.getEntries().map(({ duration }) => duration))
      })
      observer.observe({ type: 'longtask' })
      const frame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve))
      const times: number[] = []
      let before = await frame()
      for (let step = 1; step <= count; step++) {
        scroller.scrollTop = ((scroller.scrollHeight - scroller.clientHeight) * step) / count
        const now = await frame()
        times.push(now - before)
        before = now
      }
      await frame()
      observer.disconnect()
      times.sort((a, b) => a - b)
      return {
        frames: count,
        medianMs: times[Math.floor(times.length / 2)] ?? 0,
        worstMs: times.at(-1) ?? 0,
        longTasks: tasks.filter((duration) => duration > longMs).length,
      }
    },
    [frames, LONG_TASK_MS] as const,
  )
}

function shown({ frames, medianMs, worstMs, longTasks }: Smoothness): string {
  return `${frames} frames, median ${medianMs.toFixed(1)} ms, worst ${worstMs.toFixed(1)} ms, ${longTasks} tasks over ${LONG_TASK_MS} ms`
}

describe('the weight of the dashboard', () => {
  it('is small, and it paints soon', async () => {
    const relay = await scene.relay()
    const loaded: string[] = []
    const { page, requested } = await scene.watch('about:blank')
    page.on('requestfinished', (request) => loaded.push(request.url()))
    await page.goto(relay.url)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    // the icon is asked for last
    await expect.poll(() => loaded.some((url) => url.endsWith('.svg'))).toBe(true)
    const paint = await page.evaluate(
      () => performance.getEntriesByName('first-contentful-paint').at(0)?.startTime ?? Number.POSITIVE_INFINITY,
    )
    let total = 0
    for (const url of new Set(requested)) {
      if (!url.startsWith('http')) continue
      const response = await fetch(url)
      total += gzipSync(new Uint8Array(await response.arrayBuffer())).byteLength
    }
    say(`first contentful paint after ${paint.toFixed(0)} ms, ${(total / 1_000).toFixed(1)} kB compressed`)
    expect(total).toBeGreaterThan(1_000)
    expect(total).toBeLessThan(MAX_BYTES)
    expect(paint).toBeLessThan(MAX_PAINT_MS)
  })

  it('works below a prefix, where its commands lead back through it', async () => {
    const relay = await scene.relay('/office')
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    const { host } = new URL(relay.url)
    await page.getByRole('dialog').getByText(`-u 'ws://${host}/office/socket'`).waitFor()
  })
})

describe(`${TOKENS} tokens and ${STREAMS} streams`, () => {
  it('scroll smoothly, are found by a word, and take few elements', async () => {
    const relay = await scene.relay()
    fill(relay.state)
    const page = await scene.open(relay.url)
    await signIn(page)
    for (const [view, count, frames] of [
      ['Tokens', TOKENS, 120],
      ['Streams', STREAMS, 300],
    ] as const) {
      await goTo(page, view)
      await expect.poll(() => page.getByRole('table').getAttribute('aria-rowcount')).toBe(String(count + 1))
      const smoothness = await scrollThrough(page, frames)
      say(`${view}: ${shown(smoothness)}`)
      expect(smoothness.longTasks).toBeLessThanOrEqual(MAX_LONG_TASKS)
      expect(smoothness.medianMs).toBeLessThan(100)
      await page.locator(`[aria-rowindex="${count + 1}"]`).waitFor()
      expect(await page.getByRole('row').count()).toBeLessThan(60)
    }
    await page.getByRole('searchbox').fill('host-4321.')
    await expect.poll(() => page.getByRole('table').getAttribute('aria-rowcount')).toBe('2')
    await page.getByText('host-4321.example.com:443').waitFor()
    await page.getByRole('combobox', { name: 'Mode' }).selectOption('agent')
    await page.getByText('Nothing fits the search.').waitFor()
  })

  it('stay current while streams come and go', async () => {
    const relay = await scene.relay()
    fill(relay.state)
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Streams')
    const [token] = relay.state.tokens.values()
    if (token === undefined) throw new Error('no token')
    await expect.poll(() => page.getByRole('table').getAttribute('aria-rowcount')).toBe(String(STREAMS + 1))
    relay.state.addStream({ token_id: token.id, target: 'late.example.com:22' })
    await page.getByText('late.example.com:22').waitFor({ timeout: 15_000 })
    for (const { id } of [...relay.state.streams.values()]) relay.state.removeStream(id)
    await page.getByText('Nothing is under way').waitFor({ timeout: 15_000 })
  })
})
