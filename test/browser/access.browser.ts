import type { BrowserContextOptions, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { en, type Messages } from '../../dashboard/src/text/en.js'
import { zh } from '../../dashboard/src/text/zh.js'
import { untilPasses } from '../support/wait.js'
import { accessibilityFaults } from './support/axe.js'
import { furnish } from './support/demo.js'
import type { FakeRelay } from './support/fake-relay.js'
import { FULL_KEY } from './support/relay.js'
import { focusIn, goTo, rowOf, sceneOfFile, signIn } from './support/scene.js'

const PHONE: BrowserContextOptions = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }

const scene = sceneOfFile()

const furnished = async (): Promise<FakeRelay> => {
  const relay = await scene.relay()
  furnish(relay.state)
  return relay
}

type Visit = (page: Page, relay: FakeRelay, t: Messages, look: (what: string) => Promise<void>) => Promise<void>

const visitViews: Visit = async (page, relay, t, look) => {
  await look('sign in')
  await page.getByLabel(t.signIn.key).fill('wrong')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').getByText(t.signIn.refused).waitFor()
  await look('sign in, refused')
  await signIn(page, FULL_KEY, t)
  relay.state.raise({ code: 'port-unavailable', subject: '10002', message: 'port 10002 is in use' })
  await page.locator('.alarm-card').waitFor()
  await look('overview')
  await page.getByRole('button', { name: t.preferences.open }).click()
  await page.getByRole('dialog', { name: t.preferences.open }).waitFor()
  await look('settings')
  await page.keyboard.press('Escape')
  for (const view of ['clients', 'streams', 'alarms', 'tokens'] as const) {
    await goTo(page, t.views[view])
    if (view !== 'alarms') await page.getByRole('table').getByRole('row').nth(2).waitFor()
    await look(view)
  }
}

const visitDialogs: Visit = async (page, _relay, t, look) => {
  await signIn(page, FULL_KEY, t)
  await goTo(page, t.views.tokens)
  await page.getByRole('button', { name: t.tokens.commandsOf('Office network') }).click()
  await page.getByRole('dialog').getByText('LINKSOCKS_TOKEN').waitFor()
  await look('commands')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: t.tokens.add }).click()
  for (const type of ['forward', 'reverse', 'connector'] as const) {
    await page.getByRole('radio', { name: t.types[type] }).click()
    await look(`add ${type}`)
  }
  await page.getByRole('dialog').getByRole('button', { name: t.form.submitAdd }).click()
  await page.getByRole('alert').getByText(t.form.required).waitFor()
  await look('add, refused')
  await page.keyboard.press('Escape')
  for (const action of ['editOf', 'removeOf'] as const) {
    await page.getByRole('button', { name: t.tokens[action]('Office network') }).click()
    await page.getByRole(action === 'editOf' ? 'dialog' : 'alertdialog').waitFor()
    await look(action)
    await page.keyboard.press('Escape')
  }
  await goTo(page, t.views.clients)
  await page
    .getByRole('button', { name: t.clients.disconnectOf(`Laboratory (${t.roles.provider}, 203.0.113.45)`) })
    .click()
  await page.getByRole('alertdialog').waitFor()
  await look('disconnect')
  await page.keyboard.press('Escape')
  await goTo(page, t.views.tokens)
  await page.getByRole('switch', { name: 'Old tablet' }).click()
  await page.getByText(t.tokens.enabledNow).waitFor()
  await look('a message')
}

const visitPolicy: Visit = async (page, _relay, t, look) => {
  await signIn(page, FULL_KEY, t)
  await goTo(page, t.views.tokens)
  await page.getByRole('button', { name: t.policy.openOf('Build machine') }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('heading', { name: t.policy.rules, exact: true }).waitFor()
  await dialog.getByLabel(t.policy.target).fill('10.1.2.3:80')
  await page.keyboard.press('Enter')
  await dialog.getByText(t.policy.decides, { exact: true }).waitFor()
  await look('policy')
  await dialog.getByLabel(t.policy.portsOf(2)).fill('https')
  await dialog.getByRole('button', { name: t.form.submitEdit }).click()
  await dialog.getByRole('alert').getByText(t.policy.unread.ports).waitFor()
  await look('policy, refused')
  await page.keyboard.press('Escape')
  await page.getByRole('alertdialog', { name: t.policy.discardTitle }).waitFor()
  await look('policy, discard')
  await page.getByRole('button', { name: t.form.cancel }).last().click()
  await page.getByRole('alertdialog').waitFor({ state: 'detached' })
  await dialog.getByRole('tab', { name: t.usage.tab }).click()
  await dialog.getByRole('meter').waitFor()
  await look('usage')
}

describe.each([
  ['view', visitViews],
  ['dialog', visitDialogs],
  ['policy', visitPolicy],
] as const)('any %s', (_, visit) => {
  it.each(['light', 'dark'] as const)('has no faults, %s', async (colorScheme) => {
    const relay = await furnished()
    const page = await scene.open(relay.url, { colorScheme, reducedMotion: 'reduce' })
    const faults: string[] = []
    await visit(page, relay, en, async (what) => {
      faults.push(...(await accessibilityFaults(page)).map((fault) => `${what}: ${fault}`))
    })
    expect(faults).toEqual([])
  })

  it.each([
    ['en-GB', en],
    ['zh-CN', zh],
  ] as const)('has no faults on a phone, where nothing is wider than the screen, %s', async (locale, t) => {
    const relay = await furnished()
    const page = await scene.open(relay.url, { ...PHONE, locale })
    const faults: string[] = []
    await visit(page, relay, t, async (what) => {
      faults.push(...(await accessibilityFaults(page)).map((fault) => `${what}: ${fault}`))
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      if (width > 360) faults.push(`${what}: ${width} pixels wide`)
    })
    expect(faults).toEqual([])
  })
})

describe('accessibility', () => {
  it('tells how many rows a table has and which of them are there', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Streams')
    const table = page.getByRole('table')
    await untilPasses(async () => expect(await table.getAttribute('aria-rowcount')).toBe('49'))
    await page.getByRole('region', { name: 'Streams' }).focus()
    await page.keyboard.press('End')
    await page.locator('[aria-rowindex="49"]').waitFor()
    await page.getByRole('button', { name: 'Age' }).click()
    await page.getByRole('columnheader', { name: 'Age' }).and(page.locator('[aria-sort=ascending]')).waitFor()
  })

  it('announces alarms that come and go', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await page.getByText('Live', { exact: true }).waitFor()
    const voice = page.locator('#alarm-voice[aria-live=polite]')
    relay.state.raise({ code: 'event-loop-delay', subject: null, message: 'nobody offers the network of Laboratory' })
    await voice.getByText('Alarm: nobody offers').waitFor({ state: 'attached' })
    await page.getByRole('navigation').getByText('1', { exact: true }).waitFor()
    relay.state.clear('event-loop-delay')
    await voice.getByText('No longer: nobody offers').waitFor({ state: 'attached' })
  })
})

describe('the keyboard', () => {
  /** What has the focus, by role and name. */
  const focused = (page: Page): Promise<string> =>
    page.evaluate(() => {
      const element = document.activeElement
      return `${element?.tagName.toLowerCase()} ${element?.getAttribute('aria-label') ?? element?.textContent ?? ''}`
    })

  it('is enough to sign in, add a token, copy its command and delete it', async () => {
    const relay = await scene.relay()
    const page = await scene.open(relay.url)
    await page.getByLabel('API key').and(page.locator(':focus')).waitFor()
    await page.keyboard.type('full-key')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
    await untilPasses(async () => expect(await focused(page)).toBe('h1 Overview'))

    await page.keyboard.press('Tab')
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
    await page.keyboard.press('Tab')
    for (let step = 0; step < 12 && !(await focused(page)).startsWith('a Tokens'); step++)
      await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Enter')
    await untilPasses(async () => expect(await focused(page)).toBe('h1 Tokens'))
    expect(await page.title()).toBe('Tokens · LinkSocks')

    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('button Add token')
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Add a token' })
    await focusIn(dialog)
    // round and round: the focus stays in the dialog
    for (let step = 0; step < 14; step++) {
      await page.keyboard.press('Tab')
      expect(
        await dialog.evaluate(
          (node) =>
            node.contains(document.activeElement) ||
            document.activeElement?.hasAttribute('data-base-ui-focus-guard') === true,
        ),
      ).toBe(true)
    }
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await untilPasses(async () => expect(await focused(page)).toBe('button Add token'))

    await page.keyboard.press('Enter')
    await focusIn(dialog)
    await dialog.getByLabel('Label').focus()
    await page.keyboard.type('Laptop')
    await page.keyboard.press('Enter')
    const commands = page.getByRole('dialog', { name: 'Commands for Laptop' })
    await focusIn(commands)
    await commands.getByRole('tab', { name: 'Linux' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Enter')
    await commands.getByText('$env:LINKSOCKS_TOKEN').waitFor()
    await page.keyboard.press('Escape')
    await commands.waitFor({ state: 'detached' })

    await page.getByRole('button', { name: 'Delete Laptop' }).focus()
    await page.keyboard.press('Enter')
    const question = page.getByRole('alertdialog')
    await focusIn(question)
    await question.getByRole('button', { name: 'Delete' }).focus()
    await page.keyboard.press('Enter')
    await page.getByText('No tokens yet').waitFor()
  })

  it('skips to the content and shows where it is', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    const skip = page.getByRole('button', { name: 'Skip to content' })
    // a mouse was last: after a key, the focus shows
    await page.keyboard.press('Tab')
    await skip.focus()
    await untilPasses(async () =>
      expect(await skip.evaluate((node) => node.getBoundingClientRect().top)).toBeGreaterThan(0),
    )
    const outline = await skip.evaluate((node) => getComputedStyle(node).outlineStyle)
    expect(outline).toBe('solid')
    await page.keyboard.press('Enter')
    await untilPasses(async () => expect(await page.evaluate(() => document.activeElement?.id)).toBe('content'))
  })
})

describe('language and theme', () => {
  it('speaks Chinese to who prefers it, and remembers another choice', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url, { locale: 'zh-CN' })
    await page.getByRole('heading', { name: '登录' }).waitFor()
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('zh-CN')
    await page.getByLabel('API 密钥').fill('full-key')
    await page.keyboard.press('Enter')
    await page.getByRole('navigation').getByRole('link', { name: '令牌' }).click()
    await page.getByRole('heading', { name: '令牌', level: 1 }).waitFor()
    expect(await page.title()).toBe('令牌 · LinkSocks')
    await page.getByRole('button', { name: '添加令牌' }).click()
    await page.getByRole('dialog', { name: '添加令牌' }).getByText('客户端使用服务器的网络。').waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: '设置' }).click()
    await page.getByRole('radio', { name: 'English' }).click()
    await page.keyboard.press('Escape')
    await page.getByRole('heading', { name: 'Tokens', level: 1 }).waitFor()
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('en')
    await page.reload()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })

  it('follows the system’s theme until one is chosen', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url, { colorScheme: 'dark' })
    const ground = (): Promise<string> =>
      page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
    const dark = await ground()
    await signIn(page)
    await page.emulateMedia({ colorScheme: 'light' })
    await untilPasses(async () => expect(await ground()).not.toBe(dark))
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByRole('radio', { name: 'Dark' }).click()
    await untilPasses(async () => expect(await ground()).toBe(dark))
    await page.reload()
    await untilPasses(async () => expect(await ground()).toBe(dark))
  })

  it('puts each row on a card on a phone', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url, PHONE)
    await signIn(page)
    await goTo(page, 'Tokens')
    const card = rowOf(page, 'Ada’s laptop')
    await card.waitFor()
    const box = await card.boundingBox()
    expect(box?.height).toBeGreaterThan(120)
    expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(360)
  })
})
