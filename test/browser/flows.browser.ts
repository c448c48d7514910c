import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { untilPasses } from '../support/wait.js'
import { FakeRelay } from './support/fake-relay.js'
import { RealRelay } from './support/real-relay.js'
import { FULL_KEY, READER_KEY, type RelayUnderTest } from './support/relay.js'
import { goTo, rowOf, sceneOfFile, settled, signIn } from './support/scene.js'

const RELAYS: readonly (readonly [string, () => RelayUnderTest])[] = [
  ['a stand-in', () => new FakeRelay()],
  ['a relay', () => new RealRelay()],
]

describe.each(RELAYS)('the dashboard of %s', (_name, make) => {
  const scene = sceneOfFile()
  const begin = async () => {
    const relay = make()
    await relay.start()
    scene.own(() => relay.close())
    const page = await scene.open(relay.url, { permissions: ['clipboard-read', 'clipboard-write'] })
    return { relay, page }
  }
  const copied = (page: Page): Promise<string> => page.evaluate(() => navigator.clipboard.readText())

  it('refuses a wrong key and takes the right one, out again and in', async () => {
    const { page } = await begin()
    await page.getByLabel('API key').fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').getByText('doesn’t accept this API key').waitFor()
    await signIn(page)
    expect(await page.title()).toBe('Overview · LinkSocks')
    await page.getByText('Live', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByText('You are signed out.').waitFor()
    await signIn(page)
  })

  it('adds a forward token and hands out its command', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByText('No tokens yet').waitFor()
    await page.getByRole('button', { name: 'Add token' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add a token' })
    await dialog.getByLabel('Label').fill('Laptop')
    await dialog.getByLabel('Token', { exact: true }).fill(`it's $HOME \`x\``)
    await dialog.getByRole('button', { name: 'Add token' }).click()
    const commands = page.getByRole('dialog', { name: 'Commands for Laptop' })
    const { host } = new URL(relay.url)
    const posix = `LINKSOCKS_TOKEN='it'\\''s $HOME \`x\`' linksocks client -u 'ws://${host}'`
    expect(await commands.locator('code').textContent()).toBe(posix)
    await commands.getByRole('button', { name: 'Copy command' }).click()
    await commands.getByText('Copied').waitFor()
    expect(await copied(page)).toBe(posix)
    await commands.getByRole('tab', { name: 'PowerShell' }).click()
    await commands.getByRole('tabpanel', { name: 'PowerShell' }).getByRole('button', { name: 'Copy command' }).click()
    const powerShell = `$env:LINKSOCKS_TOKEN = 'it''s $HOME \`x\`'; linksocks client -u 'ws://${host}'`
    await untilPasses(async () => expect(await copied(page)).toBe(powerShell))
    await page.keyboard.press('Escape')
    await rowOf(page, 'Laptop').getByText("it's…").waitFor()
  })

  it('notes that nobody else gets to localhost, and nothing at an address for others', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Label').fill('Laptop')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByText('127.0.0.1 is this machine only').waitFor()
    for (const [name, notes] of [
      ['localhost', 1],
      ['relay.example.com', 0],
    ] as const) {
      const other = await scene.open(relay.url.replace('127.0.0.1', name))
      await signIn(other)
      await goTo(other, 'Tokens')
      await other.getByRole('button', { name: 'Commands for Laptop' }).click()
      await other.getByRole('dialog').getByText(`ws://${name}:`).first().waitFor()
      expect(await other.getByText('is this machine only').count()).toBe(notes)
    }
  })

  it('adds a token with access rules, and shows them', async () => {
    const { page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add a token' })
    await dialog.getByLabel('Label').fill('Limited')
    await dialog.getByLabel('Access rules').fill('10.0.0.0/8')
    await dialog.getByRole('button', { name: 'Add token' }).click()
    await dialog.getByText('An access rule is written ADDRESS:PORT').waitFor()
    await dialog.getByLabel('Access rules').fill('10.0.0.0/8:443 ::1:22-23')
    await dialog.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands for Limited' }).waitFor()
    await page.keyboard.press('Escape')
    await rowOf(page, 'Limited').getByText('2 access rules').waitFor()
    await page.getByRole('button', { name: 'Edit Limited' }).click()
    const edit = page.getByRole('dialog', { name: 'Edit Limited' })
    await edit.getByText('10.0.0.0/8 : 443').waitFor()
    await edit.getByText('::1 : 22-23').waitFor()
  })

  it('adds reverse tokens and a connector token of one of them', async () => {
    const { page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    const add = async (
      type: string,
      label: string,
      fill: (dialog: ReturnType<typeof page.getByRole>) => Promise<unknown>,
    ) => {
      await page.getByRole('button', { name: 'Add token' }).click()
      const dialog = page.getByRole('dialog', { name: 'Add a token' })
      await dialog.getByRole('radio', { name: type }).click()
      await dialog.getByLabel('Label').fill(label)
      await fill(dialog)
      await dialog.getByRole('button', { name: 'Add token' }).click()
      const commands = page.getByRole('dialog', { name: `Commands for ${label}` })
      const text = await commands.locator('code').first().textContent()
      await commands.getByRole('button', { name: 'Close' }).click()
      return text
    }
    const provider = await add('Reverse', 'Office', async (dialog) => {
      await dialog.getByLabel('Proxy user name').fill('ada')
      await dialog.getByRole('button', { name: 'Add token' }).click()
      await dialog.getByRole('alert').getByText('Give a user name and a password').waitFor()
      await dialog.getByLabel('Proxy password').fill('secret')
      await dialog.getByLabel('Proxy port', { exact: true }).fill('18462')
    })
    expect(provider).toMatch(/^LINKSOCKS_TOKEN='[\w-]{20,}' linksocks provider -u 'ws:/)
    await rowOf(page, 'Office').getByText('18462').waitFor()
    await rowOf(page, 'Office').getByText('· ada').waitFor()
    await page.getByRole('button', { name: 'Commands for Office' }).click()
    await page.getByText('use the port 18462 of the server (SOCKS5, SOCKS4, HTTP)').waitFor()
    const use = page.getByRole('dialog').getByText('curl -x')
    expect(await use.textContent()).toBe(
      [
        "curl -x 'socks5h://127.0.0.1:18462' -U 'ada' https://example.com/",
        "curl -x 'http://127.0.0.1:18462' -U 'ada' https://example.com/",
      ].join('\n'),
    )
    await page.keyboard.press('Escape')

    await add('Reverse', 'Homes', (dialog) => dialog.getByRole('checkbox', { name: 'autonomy' }).click())
    await rowOf(page, 'Homes').getByText('Autonomy').waitFor()

    const connector = await add('Connector', 'Guest', async (dialog) => {
      const options = dialog.getByLabel('Reverse token').locator('option')
      await untilPasses(async () => expect(await options.allTextContents()).toEqual(['Choose…', 'Office (18462)']))
      await dialog.getByLabel('Reverse token').selectOption('Office (18462)')
    })
    expect(connector).toContain(' linksocks connector -u ')
    await rowOf(page, 'Guest').getByText('of Office').waitFor()
  })

  it('edits, disables, enables and deletes a token', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Label').fill('Phone')
    await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill('phone-secret')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands for Phone' }).getByRole('button', { name: 'Close' }).click()

    await page.getByRole('button', { name: 'Edit Phone' }).click()
    const edit = page.getByRole('dialog', { name: 'Edit Phone' })
    await edit.getByLabel('Expires').fill('2020-01-01T10:00')
    await edit.getByRole('button', { name: 'Save' }).click()
    await edit.getByRole('alert').getByText('has to lie in the future').waitFor()
    await edit.getByLabel('Expires').fill('2199-01-01T10:00')
    await edit.getByLabel('Label').fill('Grace’s phone')
    await edit.getByRole('button', { name: 'Save' }).click()
    await rowOf(page, 'Grace’s phone').getByText('1 Jan 2199, 10:00').waitFor()

    await relay.connect('phone-secret')
    await rowOf(page, 'Grace’s phone').locator('.c-clients').getByText('1', { exact: true }).waitFor()
    await page.getByRole('switch', { name: 'Grace’s phone' }).click()
    await rowOf(page, 'Grace’s phone').getByText('Disabled').waitFor()
    await rowOf(page, 'Grace’s phone').locator('.c-clients').getByText('0', { exact: true }).waitFor()
    await page.getByRole('switch', { name: 'Grace’s phone' }).click()
    await rowOf(page, 'Grace’s phone').getByText('Active').waitFor()

    await page.getByRole('button', { name: 'Commands for Grace’s phone' }).click()
    await page.getByRole('button', { name: 'Copy token' }).click()
    await untilPasses(async () => expect(await copied(page)).toBe('phone-secret'))
    await page.keyboard.press('Escape')
    const remove = async () => {
      await page.getByRole('button', { name: 'Delete Grace’s phone' }).click()
      return page.getByRole('alertdialog', { name: 'Delete Grace’s phone?' })
    }
    await (await remove()).getByRole('button', { name: 'Cancel' }).click()
    await rowOf(page, 'Grace’s phone').waitFor()
    await (await remove()).getByRole('button', { name: 'Delete' }).click()
    await page.getByText('No tokens yet').waitFor()
  })

  it('shows what the relay refuses in its own words', async () => {
    const { page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    for (const label of ['First', 'Second']) {
      await page.getByRole('button', { name: 'Add token' }).click()
      await page.getByRole('dialog').getByLabel('Label').fill(label)
      await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill('twin')
      await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
      if (label === 'First') await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
    }
    await page.getByRole('dialog').getByRole('alert').getByText('Refused: token already exists').waitFor()
  })

  it('lists who is connected and disconnects one', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Label').fill('Laptop')
    await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill('laptop')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands' }).getByRole('button', { name: 'Close' }).click()
    await goTo(page, 'Clients')
    await page.getByText('Nobody is connected').waitFor()
    await relay.connect('laptop')
    await rowOf(page, '127.0.0.1').getByText('Laptop').waitFor()
    await page.getByRole('button', { name: 'Disconnect Laptop (Forward, 127.0.0.1)' }).click()
    const question = page.getByRole('alertdialog', { name: 'Disconnect Laptop (Forward, 127.0.0.1)?' })
    await question.getByRole('button', { name: 'Disconnect' }).click()
    await page.getByText('Nobody is connected').waitFor()
  })

  it('shows what a client carries, and how much of it', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Label').fill('Laptop')
    await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill('laptop')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands' }).getByRole('button', { name: 'Close' }).click()
    await goTo(page, 'Streams')
    await page.getByText('Nothing is under way').waitFor()
    const target = await relay.carry('laptop', 123_000)
    await rowOf(page, target).getByText('Forward').waitFor()
    await rowOf(page, target).getByText('TCP', { exact: true }).waitFor()
    await rowOf(page, target).locator('.c-client').getByText('Laptop').waitFor()
    await rowOf(page, target).locator('.c-client').getByText('127.0.0.1').waitFor()
    await untilPasses(async () => expect(await rowOf(page, target).getByText('123 kB').count()).toBe(2))
    await goTo(page, 'Overview')
    await page.locator('.figures').getByText('since start').first().waitFor()
    await untilPasses(async () =>
      expect(await page.locator('.figures').textContent()).toMatch(/1[23]\d kB since start/),
    )
    await page.getByRole('region', { name: 'Clients that carry most' }).getByText('Laptop').waitFor()
    await page.getByRole('img', { name: /Throughput of the last 5 minutes/ }).waitFor()
  })

  it('asks the browser not to store the key', async () => {
    const { page } = await begin()
    const field = page.getByLabel('API key')
    expect([await field.getAttribute('type'), await field.getAttribute('autocomplete')]).toEqual(['password', 'off'])
  })

  it('forgets the key with a reload, or keeps it for the tab', async () => {
    const { page } = await begin()
    await signIn(page)
    await page.reload()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.getByLabel('Keep until this tab is closed').check()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.reload()
    await page.getByRole('heading', { name: 'Tokens', level: 1 }).waitFor()
    const stores = await page.evaluate(() => [Object.keys(localStorage), location.href.includes('full-key')])
    expect(stores).toEqual([[], false])
    const [other] = await Promise.all([
      page.context().waitForEvent('page'),
      page.evaluate(() => void open(location.href, '_blank', 'noopener')),
    ])
    await other.getByRole('heading', { name: 'Sign in' }).waitFor()
    await other.close()
  })

  it('tells a lost connection, tries again and goes on', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await page.getByText('Live', { exact: true }).waitFor()
    await relay.stop()
    await page.locator('.banner').getByText('Connection lost, trying again').waitFor()
    await relay.start()
    await page.getByText('Live', { exact: true }).waitFor()
    await page.locator('.banner').waitFor({ state: 'detached' })
  })

  it('says that the relay drains, and takes what it no longer tells for no loss', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill('laptop-secret')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands' }).getByRole('button', { name: 'Close' }).click()
    const target = await relay.carry('laptop-secret', 1_000)
    // what is not on the page when it drains does not come any more
    await goTo(page, 'Clients')
    await rowOf(page, '127.0.0.1').waitFor()
    await goTo(page, 'Streams')
    await rowOf(page, target).waitFor()
    const failed = (list: string) =>
      page.waitForEvent('requestfailed', (request) => request.url().includes(`/api/${list}`))
    const first = failed('streams')
    await relay.drain()
    await page.getByRole('status').getByText('The server is draining').waitFor()
    await first
    await failed('streams')
    await settled(page)
    await rowOf(page, target).waitFor()
    await page.getByText('Live', { exact: true }).waitFor()
    expect(await page.locator('.banner').allTextContents()).toEqual(['The server is draining: it takes nothing new.'])
    const clients = failed('clients')
    await goTo(page, 'Clients')
    await rowOf(page, '127.0.0.1').waitFor()
    await clients
    await settled(page)
    expect(await page.locator('.banner').count()).toBe(1)
    await relay.stop()
    await page.locator('.banner').getByText('Connection lost').waitFor()
    expect(await page.locator('.banner').getByText('draining').count()).toBe(0)
  })

  it('asks for a key again when it is revoked', async () => {
    const { relay, page } = await begin()
    await page.getByLabel('Keep until this tab is closed').check()
    await signIn(page)
    await relay.revoke(FULL_KEY)
    await page.getByRole('alert').getByText('no longer does').waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.evaluate(() => Object.keys(sessionStorage))).toEqual([])
  })

  it('shows nothing that writes to a key that may only read', async () => {
    const { relay, page } = await begin()
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill('laptop-secret')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands' }).waitFor()
    await relay.connect('laptop-secret')

    const reader = await scene.open(relay.url)
    await signIn(reader, READER_KEY)
    await reader.getByText('Read only').waitFor()
    await goTo(reader, 'Tokens')
    await reader.getByText('lapt…').waitFor()
    expect(await reader.getByRole('button', { name: /Add|Edit|Delete/ }).count()).toBe(0)
    expect(await reader.getByRole('switch').count()).toBe(0)
    await reader.getByRole('button', { name: /Commands/ }).click()
    expect(await reader.getByRole('dialog').locator('code').textContent()).toContain("LINKSOCKS_TOKEN='TOKEN'")
    expect(await reader.content()).not.toContain('laptop-secret')
    await reader.keyboard.press('Escape')
    await goTo(reader, 'Clients')
    await rowOf(reader, '127.0.0.1').waitFor()
    expect(await reader.getByRole('button', { name: /Disconnect/ }).count()).toBe(0)
  })
})
