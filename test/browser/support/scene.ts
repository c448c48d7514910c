import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { en, type Messages } from '../../../dashboard/src/text/en.js'
import { openPage, type RunningBrowser, startBrowser, type Watched } from './browser.js'
import { FakeRelay } from './fake-relay.js'
import { FULL_KEY } from './relay.js'

export interface Scene {
  readonly browser: Browser
  /** A fake relay of this test. */
  relay(prefix?: string, port?: number): Promise<FakeRelay>
  /** A page at an address, watched for what it must not do until the test ends. */
  open(url: string, options?: BrowserContextOptions): Promise<Page>
  /** The same with what was seen so far. */
  watch(url: string, options?: BrowserContextOptions): Promise<Watched>
  /** Ends with the test. */
  own(end: () => Promise<void>): void
}

/** One browser for a file of tests; after each test its pages are looked over and closed. */
export function sceneOfFile(): Scene {
  let running: RunningBrowser | undefined
  let watched: Watched[] = []
  let ends: (() => Promise<void>)[] = []
  beforeAll(async () => {
    running = await startBrowser()
  })
  afterAll(() => running?.close())
  afterEach(async () => {
    const problems: string[] = []
    for (const one of watched) {
      problems.push(...(await one.problems()))
      await one.context.close()
    }
    for (const end of ends.toReversed()) await end()
    watched = []
    ends = []
    expect(problems).toEqual([])
  })
  const browser = (): Browser => {
    if (running === undefined) throw new Error('no browser yet')
    return running.browser
  }
  const watch = async (url: string, options?: BrowserContextOptions): Promise<Watched> => {
    const one = await openPage(browser(), options)
    watched.push(one)
    await one.page.goto(url)
    return one
  }
  return {
    get browser() {
      return browser()
    },
    relay: async (prefix, port) => {
      const relay = new FakeRelay(prefix, port)
      await relay.start()
      ends.push(() => relay.stop())
      return relay
    },
    open: async (url, options) => (await watch(url, options)).page,
    watch,
    own: (end) => void ends.push(end),
  }
}

export async function signIn(page: Page, key: string = FULL_KEY, t: Messages = en): Promise<void> {
  await page.getByLabel(t.signIn.key).fill(key)
  await page.getByRole('button', { name: t.signIn.submit }).click()
  await page.getByRole('heading', { name: t.views.overview, level: 1 }).waitFor()
}

/** Goes to a view by its link. */
export async function goTo(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name }).click()
  await page.getByRole('heading', { name, level: 1, exact: true }).waitFor()
}

/** Waits until the focus is in a dialog, which takes it when it has opened: who moves it before has it taken away. */
export async function focusIn(dialog: Locator): Promise<void> {
  await dialog
    .locator(':focus')
    .or(dialog.and(dialog.page().locator(':focus')))
    .first()
    .waitFor()
}

/** Lets a page do all that follows at once from what was done to it. */
export async function settled(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
}

/** The row of a table that has this text. */
export function rowOf(page: Page, text: string): Locator {
  return page.getByRole('row').filter({ hasText: text })
}
