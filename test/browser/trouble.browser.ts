import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { until, untilPasses } from '../support/wait.js'
import { accessibilityFaults } from './support/axe.js'
import { furnish } from './support/demo.js'
import type { FakeRelay } from './support/fake-relay.js'
import { Refused } from './support/refused.js'
import { FULL_KEY, READER_KEY } from './support/relay.js'
import { focusIn, goTo, rowOf, sceneOfFile, settled, signIn } from './support/scene.js'

const scene = sceneOfFile()

const furnished = async (): Promise<FakeRelay> => {
  const relay = await scene.relay()
  furnish(relay.state)
  return relay
}

describe('a connection in trouble', () => {
  it('is not called lost when it comes back at once', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await page.getByText('Live', { exact: true }).waitFor()
    const banners = await page.evaluateHandle(() => {
      const seen: string[] = []
      const note = (): void => {
        const text = document.querySelector('.banner')?.textContent
        if (text !== undefined && text !== null) seen.push(text)
      }
      new MutationObserver(note).observe(document.body, { subtree: true, childList: true })
      return seen
    })
    const before = relay.calls.filter((call) => call === 'GET /api/events').length
    relay.cutReaders()
    await untilPasses(async () =>
      expect(relay.calls.filter((call) => call === 'GET /api/events').length).toBe(before + 1),
    )
    relay.state.raise({ code: 'event-loop-delay', subject: null, message: 'told after the break' })
    await page.getByText('told after the break').first().waitFor()
    expect(await banners.jsonValue()).toEqual([])
  })

  it('catches up with what it missed', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await rowOf(page, 'Laboratory').waitFor()
    await relay.stop(true)
    relay.state.addToken({ type: 'forward', label: 'Meanwhile', token: 'meanwhile' })
    await page.getByText('Connection lost, trying again').first().waitFor()
    await relay.start()
    await rowOf(page, 'Meanwhile').waitFor()
  })

  it('asks nothing while nobody looks', async () => {
    const relay = await furnished()
    const { page, requested } = await scene.watch('about:blank')
    await page.clock.install()
    await page.goto(relay.url)
    await signIn(page)
    await goTo(page, 'Streams')
    await rowOf(page, 'wiki.example.com').first().waitFor()
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { configurable: true, value: true })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    const before = requested.length
    await page.clock.runFor(10_000)
    expect(requested.slice(before)).toEqual([])
    const calls = relay.calls.length
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { configurable: true, value: false })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await untilPasses(async () => expect(relay.calls.slice(calls)).toContain('GET /api/streams'))
  })
})

describe('a relay that is slow or refuses', () => {
  it('is waited for, and asked once for each press', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    let release = (): void => {}
    const hold = (): void => {
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      relay.before = () => held
    }
    hold()
    await page.getByLabel('API key').fill('full-key')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Signing in…' }).waitFor()
    await page.keyboard.press('Enter')
    release()
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
    expect(relay.calls.filter((call) => call === 'GET /api/server')).toHaveLength(1)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    const dialog = page.getByRole('dialog')
    hold()
    await dialog.getByRole('button', { name: 'Add token' }).click()
    await dialog.getByRole('button', { name: 'Saving…' }).click()
    release()
    await page.getByRole('dialog', { name: 'Commands' }).waitFor()
    expect(relay.state.writes).toHaveLength(1)
  })

  it.each([
    [403, 'this API key may only read'],
    [409, 'port not available'],
    [507, 'not stored'],
  ])('is quoted: %d %s', async (status, error) => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    relay.refuseNext = new Refused(status, error)
    await page.getByRole('switch', { name: 'Laboratory' }).click()
    await page.locator('.toast.error').getByText(error).waitFor()
    relay.refuseNext = new Refused(status, error)
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Add' }).getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('alert').getByText(`Refused: ${error}`).waitFor()
  })

  it('says that tokens are in memory only, and that it drains', async () => {
    const relay = await furnished()
    relay.state.durable = false
    relay.state.draining = true
    const page = await scene.open(relay.url)
    await signIn(page)
    await page.getByRole('status').getByText('takes nothing new').waitFor()
    await goTo(page, 'Tokens')
    await page.getByText('kept in memory only').waitFor()
  })
})

describe('what is sent', () => {
  it('is only what was changed, with the expiry in UTC', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url, { timezoneId: 'Asia/Shanghai' })
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Edit Office network' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Expires').fill('2199-06-01T08:30')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Edit Office network' }).click()
    await page.getByRole('checkbox', { name: 'Take user name and password away' }).check()
    await dialog.getByLabel('Expires').fill('')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(relay.state.writes.map(({ body }) => body)).toEqual([
      { expires_at: '2199-06-01T00:30:00.000Z' },
      { expires_at: null, username: null, password: null },
    ])
  })

  it('deletes a reverse token together with its connector tokens, after saying so', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Delete Office network' }).click()
    const question = page.getByRole('alertdialog')
    await question.getByText('2 connector tokens go with it.').waitFor()
    await question.getByRole('button', { name: 'Delete' }).click()
    await rowOf(page, 'Guest in the office').waitFor({ state: 'detached' })
    expect(relay.state.writes.map(({ call }) => call)).toHaveLength(1)
  })
})

describe('an answer to an earlier key', () => {
  it('ends neither the session of the next key nor what is kept of it', async () => {
    const relay = await furnished()
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const page = await scene.open(relay.url)
    await signIn(page)
    let holding = 0
    relay.before = async (call, key) => {
      if (key !== FULL_KEY || call !== 'GET /api/clients') return
      holding += 1
      await held
    }
    await goTo(page, 'Clients')
    await until(() => holding > 0)
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Keep until this tab is closed').check()
    await page.getByLabel('API key').fill(READER_KEY)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('Read only').waitFor()
    relay.keys.delete(FULL_KEY)
    const late = page.waitForResponse((answer) => answer.status() === 401)
    release()
    await late
    // asked for later, answered later
    await goTo(page, 'Tokens')
    await rowOf(page, 'Laboratory').waitFor()
    await page.getByText('Read only').waitFor()
    expect(await page.evaluate(() => Object.values(sessionStorage))).toContain(READER_KEY)
  })
})

describe('a token that was added', () => {
  it('is not called refused when it can’t be read', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    relay.before = async (call) => {
      if (call.startsWith('GET /api/tokens/')) throw new Refused(503, 'busy')
    }
    await page.getByRole('button', { name: 'Add token' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add a token' })
    await dialog.getByLabel('Label').fill('Only once')
    await dialog.getByRole('button', { name: 'Add token' }).click()
    await dialog.waitFor({ state: 'detached' })
    await page.getByText('Token added. Its command is in the list.').waitFor()
    await rowOf(page, 'Only once').waitFor()
    expect(relay.state.writes).toHaveLength(1)
  })

  it('may be there when no answer comes', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.route('**/api/token', (route) => route.abort())
    await page.getByRole('button', { name: 'Add token' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add a token' })
    await dialog.getByRole('button', { name: 'Add token' }).click()
    await dialog.getByRole('alert').getByText('No answer, so it may be done or not').waitFor()
  })
})

describe('a form', () => {
  it.each(['Add token', 'Edit Auditor'])('keeps what was typed when somebody presses beside it: %s', async (name) => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Label').fill('Half a thou')
    await page.mouse.click(8, 400)
    await settled(page)
    expect(await dialog.getByLabel('Label').inputValue()).toBe('Half a thou')
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
  })
})

describe('a long text', () => {
  const LONG = 'A label that goes on for longer than any column is wide, and then some more of it'

  /** As long as one may be, with nowhere to break it. */
  const SUBJECT = 'CN='.padEnd(1_024, 'x')

  const open = async (options: BrowserContextOptions = {}): Promise<Page> => {
    const relay = await scene.relay()
    const token = relay.state.addToken({ type: 'reverse', label: LONG, token: 'long-token' })
    relay.state.token(token.id).port_error = `port 10000 is not available: ${LONG}`
    const client = relay.state.addClient(token, '203.0.113.9', { subject: SUBJECT })
    relay.state.addStream({ token_id: token.id, provider_id: client.id, mode: 'reverse', target: `${LONG}:80` })
    const page = await scene.open(relay.url, options)
    await signIn(page)
    return page
  }

  it('is in sight under the pointer where it is cut', async () => {
    const page = await open()
    const untitled = (): Promise<string[]> =>
      page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('main .ellipsis')]
          .filter((cell) => cell.scrollWidth > cell.clientWidth && cell.title === '')
          .map((cell) => cell.textContent),
      )
    for (const view of ['Overview', 'Tokens', 'Clients', 'Streams']) {
      await goTo(page, view)
      await page.locator(`main [title^="${LONG}"]`).first().waitFor()
      expect(await untitled()).toEqual([])
    }
    await goTo(page, 'Tokens')
    await page.locator('.bad[title^="port 10000 is not available"]').waitFor()
    await goTo(page, 'Clients')
    await page.locator(`main [title="${SUBJECT}"]`).waitFor()
  })

  it('is whole on a phone', async () => {
    const page = await open({ viewport: { width: 360, height: 740 } })
    for (const view of ['Tokens', 'Clients', 'Streams']) {
      await goTo(page, view)
      const cut = page.locator('main .tbody .ellipsis')
      await cut.first().waitFor()
      expect(await cut.evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).length)).toBe(
        0,
      )
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect(wide).toBe(0)
    }
    await goTo(page, 'Clients')
    expect(await page.locator('main .tbody').getByText(SUBJECT).isVisible()).toBe(true)
  })
})

describe('a field that is half filled in', () => {
  it('does not take the expiry away', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Edit Auditor' }).click()
    const dialog = page.getByRole('dialog', { name: 'Edit Auditor' })
    const expires = dialog.getByLabel('Expires')
    await focusIn(dialog)
    await expires.focus()
    await page.keyboard.press('Backspace')
    expect(await expires.inputValue()).toBe('')
    await page.keyboard.press('Tab')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.getByRole('alert').getByText('A part of the date or time is missing').waitFor()
    expect(await expires.evaluate((field) => field === document.activeElement)).toBe(true)
    expect(await expires.getAttribute('aria-invalid')).toBe('true')
    expect(await accessibilityFaults(page)).toEqual([])
    expect(relay.state.writes).toEqual([])
    // emptied altogether it means never
    await expires.fill('')
    await dialog.getByText('A part of the date').waitFor({ state: 'detached' })
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(relay.state.writes.map(({ body }) => body)).toEqual([{ expires_at: null }])
  })

  it('is not taken for an empty one in a new token', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add a token' })
    const add = dialog.getByRole('button', { name: 'Add token' })
    await focusIn(dialog)
    await dialog.getByLabel('Expires').focus()
    await page.keyboard.type('0101')
    await add.click()
    await dialog.getByRole('alert').getByText('A part of the date or time is missing').waitFor()
    await dialog.getByLabel('Expires').fill('2199-06-01T08:30')
    await dialog.getByRole('radio', { name: 'Reverse' }).click()
    await dialog.getByLabel('Proxy port', { exact: true }).focus()
    // Chromium takes no x in a number, but an e
    await page.keyboard.type('xe')
    await add.click()
    await dialog.getByRole('alert').getByText('This is not a number').waitFor()
    expect(relay.state.writes).toEqual([])
    await dialog.getByLabel('Proxy port', { exact: true }).fill('18463')
    await add.click()
    await page.getByRole('dialog', { name: 'Commands' }).waitFor()
    expect(relay.state.writes).toMatchObject([{ body: { port: 18_463 } }])
  })
})

describe('text from others', () => {
  it('is text, whatever it says', async () => {
    const relay = await scene.relay()
    const nasty = '<img src=x onerror="document.title=1">\u202e<script>document.title=2</script>'
    const token = relay.state.addToken({ type: 'forward', label: nasty, token: 'nasty-token' })
    const client = relay.state.addClient(token, '203.0.113.9', { subject: `CN=${nasty}` })
    relay.state.addStream({ token_id: token.id, client_id: client.id, target: `${nasty}:80` })
    relay.state.raise({ code: nasty, subject: nasty, message: nasty })
    const page = await scene.open(relay.url)
    await signIn(page)
    for (const view of ['Overview', 'Tokens', 'Clients', 'Streams', 'Alarms']) {
      await goTo(page, view)
      await page.getByText('<img src=x').first().waitFor()
      expect(await page.title()).toBe(`${view} · LinkSocks`)
      expect(await page.locator('main img, main script').count()).toBe(0)
    }
  })

  it('such as the subject of a certificate turns nothing around it, and is found', async () => {
    const relay = await scene.relay()
    const token = relay.state.addToken({ type: 'forward', label: 'Phone', token: 'phone-token' })
    const page = await scene.open(relay.url)
    await signIn(page)
    await page.getByText('Live', { exact: true }).waitFor()
    const subject = 'CN=\u2069\u202eann,O=\u05d0\u05d1'
    relay.state.addClient(token, '203.0.113.9', { subject })
    relay.state.addClient(token, '203.0.113.10')
    const lines = (row: Locator): Promise<readonly (readonly [string, string])[]> =>
      row.evaluate((node) =>
        [...node.querySelectorAll('.two-lines:first-child > *')].map((line) => [
          line.textContent,
          getComputedStyle(line).unicodeBidi,
        ]),
      )
    const told = page.getByRole('region', { name: 'Activity' }).getByRole('listitem').filter({ hasText: '203.0.113.9' })
    await told.getByText('Connected').waitFor()
    expect(await lines(told)).toEqual([
      ['Connected', 'isolate'],
      ['Phone · 203.0.113.9', 'isolate'],
      [subject, 'isolate'],
    ])
    await goTo(page, 'Clients')
    await rowOf(page, '203.0.113.10').waitFor()
    expect((await lines(rowOf(page, '203.0.113.9'))).at(-1)).toEqual([subject, 'isolate'])
    expect(await lines(rowOf(page, '203.0.113.10'))).toHaveLength(2)
    await page.getByRole('searchbox').fill('ann,o=')
    await rowOf(page, '203.0.113.10').waitFor({ state: 'detached' })
    await rowOf(page, '203.0.113.9').waitFor()
  })

  it('names what a port serves where that is not all, and finds streams by what they came by', async () => {
    const relay = await scene.relay()
    const token = relay.state.addToken({ type: 'reverse', label: 'Office', token: 'office-token' })
    for (const inbound of ['http', 'socks4'] as const) {
      relay.state.addStream({ token_id: token.id, mode: 'reverse', inbound, target: `${inbound}.test:80` })
    }
    relay.state.token(token.id).proxy_protocols = ['socks4', 'http']
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await rowOf(page, 'Office').getByText('· SOCKS4, HTTP').waitFor()
    await goTo(page, 'Streams')
    await rowOf(page, 'http.test:80').getByText('TCP · HTTP').waitFor()
    await page.getByRole('searchbox').fill('socks4')
    await rowOf(page, 'socks4.test:80').getByText('TCP · SOCKS4').waitFor()
    await page.getByText('http.test:80').waitFor({ state: 'detached' })
  })

  it('leads from a client to its streams', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Clients')
    await rowOf(page, '203.0.113.99').getByRole('link').click()
    await page.getByText('Only streams of Guest in the office (Connector, 203.0.113.99)').waitFor()
    const cells = rowOf(page, 'Guest in the office').first()
    await cells.locator('.c-client').getByText('203.0.113.99').waitFor()
    await cells.locator('.c-provider').getByText('Office network').waitFor()
    await untilPasses(async () => expect(await page.getByRole('table').getAttribute('aria-rowcount')).toBe('10'))
    await page.getByRole('link', { name: 'Show all' }).click()
    await untilPasses(async () => expect(await page.getByRole('table').getAttribute('aria-rowcount')).toBe('49'))
  })
})
