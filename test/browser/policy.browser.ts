import type { Locator, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { en, type Messages } from '../../dashboard/src/text/en.js'
import { zh } from '../../dashboard/src/text/zh.js'
import { untilPasses } from '../support/wait.js'
import { accessibilityFaults } from './support/axe.js'
import { furnish } from './support/demo.js'
import { FakeRelay } from './support/fake-relay.js'
import { RealRelay } from './support/real-relay.js'
import { Refused } from './support/refused.js'
import { FULL_KEY, READER_KEY, type RelayUnderTest } from './support/relay.js'
import { focusIn, goTo, rowOf, sceneOfFile, settled, signIn } from './support/scene.js'

const scene = sceneOfFile()

const furnished = async (): Promise<FakeRelay> => {
  const relay = await scene.relay()
  furnish(relay.state)
  return relay
}

/** The editor of a token, with its policy loaded. */
async function openPolicy(page: Page, name: string, t: Messages = en): Promise<Locator> {
  await page.getByRole('button', { name: t.policy.openOf(name) }).click()
  const dialog = page.getByRole('dialog', { name: t.policy.title(name) })
  await dialog.getByRole('heading', { name: t.policy.rules, exact: true }).waitFor()
  await focusIn(dialog)
  return dialog
}

async function visit(relay: FakeRelay, name: string, key = FULL_KEY): Promise<{ page: Page; dialog: Locator }> {
  const page = await scene.open(relay.url)
  await signIn(page, key)
  await goTo(page, 'Tokens')
  return { page, dialog: await openPolicy(page, name) }
}

const idOf = (relay: FakeRelay, name: string): string => {
  const token = [...relay.state.tokens.values()].find(({ label }) => label === name)
  if (token === undefined) throw new Error(`no token ${name}`)
  return token.id
}

/** Bodies of the calls that change a token. */
const changes = (relay: FakeRelay): readonly unknown[] =>
  relay.state.writes.filter(({ call }) => call.startsWith('PATCH ')).map(({ body }) => body)

const isFocused = (control: Locator): Promise<boolean> => control.evaluate((node) => node === document.activeElement)

const RELAYS: readonly (readonly [string, () => RelayUnderTest])[] = [
  ['a stand-in', () => new FakeRelay()],
  ['a relay', () => new RealRelay()],
]

describe.each(RELAYS)('the policy of a token, by keyboard alone, of %s', (_name, make) => {
  it('is given rules, which are moved, tried and saved', async () => {
    const relay = make()
    await relay.start()
    scene.own(() => relay.close())
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Label').fill('Phone')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands for Phone' }).waitFor()
    await page.keyboard.press('Escape')

    await page.getByRole('button', { name: 'Policy and usage of Phone' }).focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Policy and usage of Phone' })
    await dialog.getByText('No rules: the default holds').waitFor()
    await focusIn(dialog)

    await dialog.getByRole('button', { name: 'Add rule' }).focus()
    await page.keyboard.press('Enter')
    await untilPasses(async () => expect(await isFocused(dialog.getByLabel('Action of rule 1'))).toBe(true))
    await page.keyboard.press('Tab')
    await page.keyboard.type('*.example.com')
    await page.keyboard.press('Tab')
    await page.keyboard.type('443 8000-8999')

    await dialog.getByRole('button', { name: 'Add rule' }).focus()
    await page.keyboard.press('Enter')
    await untilPasses(async () => expect(await isFocused(dialog.getByLabel('Action of rule 2'))).toBe(true))
    await page.keyboard.type('Deny')
    await page.keyboard.press('Tab')
    await page.keyboard.type('secret.example.com')
    await page.keyboard.press('Alt+ArrowUp')
    await dialog.getByRole('status').getByText('Rule 2 is now rule 1 of 2.').waitFor({ state: 'attached' })
    await untilPasses(async () => expect(await isFocused(dialog.getByLabel('Hosts of rule 1'))).toBe(true))
    expect(await dialog.getByLabel('Hosts of rule 1').inputValue()).toBe('secret.example.com')
    expect(await dialog.getByLabel('Action of rule 1').inputValue()).toBe('deny')

    const verdict = dialog.locator('.verdict')
    for (const [target, result, rule] of [
      ['secret.example.com:443', 'Denied', 1],
      ['www.example.com:8443', 'Allowed', 2],
    ] as const) {
      await dialog.getByLabel('Host and port').focus()
      await page.keyboard.press('ControlOrMeta+a')
      await page.keyboard.type(target)
      await page.keyboard.press('Enter')
      await verdict.getByText(result, { exact: true }).waitFor()
      await verdict.getByText(`rule ${rule} of its policy`).waitFor()
      await dialog
        .locator('.policy-rule')
        .nth(rule - 1)
        .getByText('decides')
        .waitFor()
      expect(await dialog.getByText('decides', { exact: true }).count()).toBe(1)
    }
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type('elsewhere.test:80')
    await page.keyboard.press('Enter')
    await verdict.getByText('its default denies it').waitFor()
    expect(await dialog.getByText('decides', { exact: true }).count()).toBe(0)

    await dialog.getByLabel('Streams at a time').focus()
    await page.keyboard.type('20')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    await rowOf(page, 'Phone').getByText('policy').waitFor()
    await untilPasses(async () =>
      expect(await isFocused(page.getByRole('button', { name: 'Policy and usage of Phone' }))).toBe(true),
    )

    await openPolicy(page, 'Phone')
    expect(await dialog.getByLabel('Hosts of rule 1').inputValue()).toBe('secret.example.com')
    expect(await dialog.getByLabel('Ports of rule 2').inputValue()).toBe('443 8000-8999')
    expect(await dialog.getByLabel('Streams at a time').inputValue()).toBe('20')
  })

  it('is given a quota, whose use is shown and begun anew', async () => {
    const relay = make()
    await relay.start()
    scene.own(() => relay.close())
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog').getByLabel('Label').fill('Phone')
    await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill('phone-secret')
    await page.getByRole('dialog').getByRole('button', { name: 'Add token' }).click()
    await page.getByRole('dialog', { name: 'Commands for Phone' }).waitFor()
    await page.keyboard.press('Escape')
    const dialog = await openPolicy(page, 'Phone')
    await dialog.getByLabel('Amount').focus()
    await page.keyboard.type('1M')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    await relay.carry('phone-secret', 123_000)
    await rowOf(page, 'Phone').getByText('246 kB of 1 MB').waitFor()
    await openPolicy(page, 'Phone')
    await dialog.getByRole('tab', { name: 'Policy' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Enter')
    await dialog.getByText('246 kB of 1 MB').waitFor()
    await dialog.getByRole('row', { name: 'In total 123 kB 123 kB' }).waitFor()
    await dialog.getByRole('button', { name: 'Reset usage' }).focus()
    await page.keyboard.press('Enter')
    const question = page.getByRole('alertdialog', { name: 'Reset the usage of Phone?' })
    await focusIn(question)
    await question.getByRole('button', { name: 'Reset usage' }).focus()
    await page.keyboard.press('Enter')
    await dialog.getByText('0 B of 1 MB').waitFor()
  })
})

describe('rows of rules', () => {
  it('are moved and removed by buttons, which keep the focus', async () => {
    const relay = await furnished()
    const { page, dialog } = await visit(relay, 'Build machine')
    const up = (rule: number): Locator => dialog.getByRole('button', { name: `Move rule ${rule} up` })
    await up(2).focus()
    await page.keyboard.press('Enter')
    // at the top it does nothing more, and is still there
    await untilPasses(async () => expect(await isFocused(up(1))).toBe(true))
    expect(await up(1).getAttribute('aria-disabled')).toBe('true')
    await page.keyboard.press('Enter')
    await settled(page)
    expect(await dialog.getByLabel('Hosts of rule 1').inputValue()).toBe('registry.example.com *.git.example.com')

    await dialog.getByLabel('Ports of rule 1').focus()
    await page.keyboard.press('Alt+ArrowDown')
    await page.keyboard.press('Alt+ArrowDown')
    await dialog.getByRole('status').getByText('Rule 2 is now rule 3 of 3.').waitFor({ state: 'attached' })
    await untilPasses(async () => expect(await isFocused(dialog.getByLabel('Ports of rule 3'))).toBe(true))

    const remove = (rule: number): Locator => dialog.getByRole('button', { name: `Remove rule ${rule}` })
    await remove(3).focus()
    for (const left of [2, 1, 0]) {
      await page.keyboard.press('Enter')
      await dialog.getByRole('status').getByText(`${left} rule`).waitFor({ state: 'attached' })
      const next = left === 0 ? dialog.getByRole('button', { name: 'Add rule' }) : remove(left)
      await untilPasses(async () => expect(await isFocused(next)).toBe(true))
    }
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(changes(relay)).toEqual([{ policy: { egress: null } }])
  })
})

describe('what is saved of a policy', () => {
  it('is only what was changed, with amounts in bytes', async () => {
    const relay = await furnished()
    const { dialog } = await visit(relay, 'Build machine')
    expect(await dialog.getByLabel('Up, whole token').inputValue()).toBe('10M')
    await dialog.getByLabel('Up, whole token').fill('1.5M')
    await dialog.getByLabel('Burst').fill('64Ki')
    await dialog.getByLabel('Amount').fill('60 GB')
    await dialog.getByLabel('Direction').selectOption('Down')
    await dialog.getByLabel('Where no rule fits').selectOption({ index: 0 })
    await dialog.getByRole('textbox', { name: 'Sources' }).fill('')
    await dialog.getByRole('checkbox', { name: 'Saturday' }).check()
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(changes(relay)).toEqual([
      {
        policy: {
          egress_default: null,
          sources: null,
          hours: [
            { days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat'], from: '06:00', to: '22:00', zone: 'Europe/Berlin' },
          ],
          rate: { up: 1_500_000, down: 25_000_000, burst: 65_536 },
          quota: { bytes: 60_000_000_000, period: 'month', direction: 'down' },
        },
      },
    ])
  })

  it('has a subject of each line, with the blanks and commas inside', async () => {
    const relay = await furnished()
    const { page, dialog } = await visit(relay, 'Build machine')
    const subjects = dialog.getByRole('textbox', { name: 'Client certificates' })
    expect(await subjects.inputValue()).toBe('CN=builder-1,OU=Build machines,O=Example Ltd')
    await subjects.focus()
    await page.keyboard.press('ControlOrMeta+End')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    await page.keyboard.type('CN=Ann Lovelace,O=Example\\, Ltd ')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    await openPolicy(page, 'Build machine')
    await subjects.fill('')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    const both = ['CN=builder-1,OU=Build machines,O=Example Ltd', 'CN=Ann Lovelace,O=Example\\, Ltd']
    expect(changes(relay)).toEqual([{ policy: { client_subjects: both } }, { policy: { client_subjects: null } }])
  })

  it('is nothing when nothing was changed', async () => {
    const relay = await furnished()
    const { dialog } = await visit(relay, 'Build machine')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(relay.state.writes).toEqual([])
  })
})

describe('what is wrong in a policy', () => {
  it('is said beside its field, which takes the focus, and nothing is sent', async () => {
    const relay = await furnished()
    const { page, dialog } = await visit(relay, 'Build machine')
    await dialog.getByLabel('Down, each stream').fill('fast')
    await dialog.getByRole('button', { name: 'Save' }).click()
    const field = dialog.getByLabel('Down, each stream')
    await dialog.getByRole('alert').getByText('This is not an amount of bytes').waitFor()
    await untilPasses(async () => expect(await isFocused(field)).toBe(true))
    expect(await field.getAttribute('aria-invalid')).toBe('true')
    expect(await accessibilityFaults(page)).toEqual([])
    await field.fill('')
    await dialog.getByText('This is not an amount').waitFor({ state: 'detached' })
    await dialog.getByLabel('Ports of rule 2').fill('https')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.locator('.policy-rule').nth(1).getByRole('alert').getByText('Ports are numbers').waitFor()
    expect(relay.state.writes).toEqual([])
  })

  it('is quoted from the relay beside the rule or field that it names', async () => {
    const relay = await furnished()
    const { dialog } = await visit(relay, 'Build machine')
    await dialog.getByLabel('Hosts of rule 3').fill('10.0.0.0/33')
    await dialog.getByRole('button', { name: 'Save' }).click()
    const row = dialog.locator('.policy-rule').nth(2)
    await row.getByRole('alert').getByText('Refused: policy: egress rule 3: invalid CIDR').waitFor()
    await untilPasses(async () => expect(await isFocused(row)).toBe(true))

    relay.refuseNext = new Refused(400, 'policy: hours: there is no time zone "X"')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.getByRole('region', { name: 'Hours' }).getByRole('alert').getByText('no time zone').waitFor()
    relay.refuseNext = new Refused(
      400,
      "policy: clientSubjects: 'egress rule 3' is no subject such as CN=ann,O=Example",
    )
    await dialog.getByRole('button', { name: 'Save' }).click()
    const certificates = dialog.getByRole('region', { name: 'Client certificates' })
    await certificates.getByRole('alert').getByText('is no subject').waitFor()
    await untilPasses(async () => expect(await isFocused(certificates)).toBe(true))
    relay.refuseNext = new Refused(507, 'not stored')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.locator('.problem').getByText('Refused: not stored').waitFor()

    await dialog.getByLabel('Host and port').fill('nowhere')
    await dialog.getByRole('button', { name: 'Try' }).click()
    await dialog.getByRole('alert').getByText('target must be host:port').waitFor()
    await dialog.getByLabel('Host and port').fill('www.example.com:443')
    await dialog.getByRole('button', { name: 'Try' }).click()
    await row.getByRole('alert').getByText('egress rule 3').waitFor()
  })

  it.each([360, 1_280])('is quoted whole beside its field, however long, %d px wide', async (width) => {
    const relay = await furnished()
    const page = await scene.open(relay.url, { viewport: { width, height: 740 } })
    await signIn(page)
    await goTo(page, 'Tokens')
    const dialog = await openPolicy(page, 'Build machine')
    const subject = 'x'.repeat(1_024)
    await dialog.getByRole('textbox', { name: 'Client certificates' }).fill(`CN=ann\n${subject}`)
    relay.refuseNext = new Refused(400, `policy: clientSubjects: '${subject}' is no subject such as CN=ann,O=Example`)
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.getByRole('region', { name: 'Client certificates' }).getByRole('alert').getByText(subject).waitFor()
    const wider = await dialog.evaluate((node) =>
      [node, ...node.querySelectorAll('.policy-part')]
        .filter((part) => part.scrollWidth > part.clientWidth)
        .map((part) => part.textContent.slice(0, 30)),
    )
    expect(wider).toEqual([])
  })

  it('no longer shows a verdict once the rules are others', async () => {
    const relay = await furnished()
    const { dialog } = await visit(relay, 'Build machine')
    await dialog.getByLabel('Host and port').fill('registry.example.com:443')
    await dialog.getByRole('button', { name: 'Try' }).click()
    await dialog.locator('.verdict').getByText('Depends', { exact: true }).waitFor()
    await dialog.getByLabel('Ports of rule 2').fill('80')
    await dialog.locator('.verdict .badge').waitFor({ state: 'detached' })
  })
})

describe('changes that are not saved', () => {
  it.each(['Escape', 'Cancel', 'Close', 'Back'])('are given up only after a question: %s', async (way) => {
    const relay = await furnished()
    const { page, dialog } = await visit(relay, 'Build machine')
    const streams = dialog.getByLabel('Streams at a time')
    await streams.fill('7')
    const question = page.getByRole('alertdialog', { name: 'Discard the changes?' })
    const leave = async (): Promise<void> => {
      // the dialog takes Escape again once what changed before has been drawn
      await settled(page)
      if (way === 'Escape') await page.keyboard.press('Escape')
      else if (way === 'Back') await page.evaluate(() => history.back())
      else await dialog.getByRole('button', { name: way }).click()
      await question.waitFor()
      await focusIn(question)
    }
    await leave()
    await settled(page)
    await page.keyboard.press('Escape')
    await question.waitFor({ state: 'detached' })
    // before that, the dialog below takes no Escape
    await page.locator('[data-nested-dialog-open]').waitFor({ state: 'detached' })
    await focusIn(dialog)
    expect(await streams.inputValue()).toBe('7')
    await page.getByRole('heading', { name: 'Tokens', level: 1, includeHidden: true }).waitFor({ state: 'attached' })
    await leave()
    await question.getByRole('button', { name: 'Discard' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(relay.state.writes).toEqual([])
  })

  it('are not asked about when there are none', async () => {
    const relay = await furnished()
    const { page, dialog } = await visit(relay, 'Build machine')
    await dialog.getByRole('button', { name: 'Move rule 1 down' }).click()
    await dialog.getByRole('button', { name: 'Move rule 2 up' }).click()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
  })

  it('of the form below are there when the policy is opened from it', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    await page.getByRole('button', { name: 'Edit Build machine' }).click()
    const edit = page.getByRole('dialog', { name: 'Edit Build machine' })
    await focusIn(edit)
    await edit.getByLabel('Label').fill('Builder')
    await edit.getByRole('button', { name: 'Policy and usage' }).focus()
    await page.keyboard.press('Enter')
    const policy = page.getByRole('dialog', { name: 'Policy and usage of Build machine' })
    await policy.getByLabel('Clients at a time').fill('3')
    await page.keyboard.press('Enter')
    await policy.waitFor({ state: 'detached' })
    expect(await edit.getByLabel('Label').inputValue()).toBe('Builder')
    await edit.getByRole('button', { name: 'Save' }).click()
    await edit.waitFor({ state: 'detached' })
    expect(changes(relay)).toEqual([{ policy: { max_clients: 3 } }, { label: 'Builder' }])
  })
})

describe('a key that may only read', () => {
  it('sees all of a policy and changes nothing', async () => {
    const relay = await furnished()
    const { page, dialog } = await visit(relay, 'Build machine', READER_KEY)
    expect(await dialog.getByLabel('Hosts of rule 1').inputValue()).toBe('@private @metadata')
    expect(await dialog.getByLabel('Amount').inputValue()).toBe('50G')
    expect(await dialog.getByRole('textbox', { name: 'Client certificates' }).inputValue()).toContain('CN=builder-1')
    const free = await dialog
      .locator('input, textarea, select')
      .evaluateAll((all) => all.filter((one) => !one.matches(':disabled, [readonly]')).length)
    expect(free).toBe(0)
    expect(
      await dialog.getByRole('button').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label'))),
    ).toEqual(['Close'])
    await dialog.getByLabel('Hosts of rule 1').focus()
    await page.keyboard.press('Alt+ArrowDown')
    await settled(page)
    expect(await dialog.getByLabel('Hosts of rule 1').inputValue()).toBe('@private @metadata')
    await dialog.getByRole('tab', { name: 'Usage' }).click()
    await dialog.getByText('12.3 GB of 50 GB').waitFor()
    expect(await dialog.getByRole('button', { name: 'Reset usage' }).count()).toBe(0)
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    expect(relay.state.writes).toEqual([])
  })
})

describe('a quota', () => {
  it('has a bar with words in the list, which follows what is used', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    const bar = page.getByRole('meter', { name: 'Quota of Build machine' })
    await bar.waitFor()
    expect(await bar.getAttribute('aria-valuetext')).toBe('12.3 GB of 50 GB')
    await rowOf(page, 'Grace’s phone').getByText('2 GB used up').waitFor()
    expect(await rowOf(page, 'Ada’s laptop').getByRole('meter').count()).toBe(0)
    relay.state.use(idOf(relay, 'Build machine'), 49_000_000_000)
    await rowOf(page, 'Build machine').getByText('49 GB of 50 GB').waitFor()
    expect(await bar.getAttribute('class')).toContain('warn')
  })

  it('is told of in the activity when it is used up', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url)
    await signIn(page)
    await page.getByText('Live', { exact: true }).waitFor()
    relay.tell('policy.refused', { time: new Date().toISOString(), token_id: idOf(relay, 'Build machine') })
    relay.tell('policy.quota-used-up', { time: new Date().toISOString(), token_id: idOf(relay, 'Build machine') })
    const activity = page.getByRole('region', { name: 'Activity' })
    await activity.getByText('Quota used up').waitFor()
    await activity.getByText('Build machine').waitFor()
    expect(await activity.getByRole('listitem').count()).toBe(1)
  })

  it('is reset after a question, and its figures are shown', async () => {
    const relay = await furnished()
    const { page, dialog } = await visit(relay, 'Build machine')
    await dialog.getByRole('tab', { name: 'Policy' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Enter')
    await dialog.getByRole('row', { name: 'In total 3.14 GB 21.7 GB' }).waitFor()
    await dialog.getByRole('row', { name: 'Now 182 kB/s 2.41 MB/s' }).waitFor()
    await dialog.getByText('By a rule about destinations').waitFor()
    await dialog.getByText('Client with another certificate, or none').waitFor()
    expect(await dialog.getByText('Too many clients').count()).toBe(0)
    relay.state.figures.set(idOf(relay, 'Build machine'), { total: { up: 4_000_000_000, down: 21_700_000_000 } })
    await dialog.getByRole('row', { name: 'In total 4.00 GB 21.7 GB' }).waitFor()
    await dialog.getByText('Nothing was refused.').waitFor()

    const reset = dialog.getByRole('button', { name: 'Reset usage' })
    const question = page.getByRole('alertdialog', { name: 'Reset the usage of Build machine?' })
    await reset.focus()
    await page.keyboard.press('Enter')
    await focusIn(question)
    await page.keyboard.press('Escape')
    await question.waitFor({ state: 'detached' })
    expect(relay.state.writes).toEqual([])
    await reset.click()
    await question.getByRole('button', { name: 'Reset usage' }).click()
    await dialog.getByText('0 B of 50 GB').waitFor()
    expect(relay.state.writes.map(({ call }) => call.replace(/[0-9a-f]{24}/, 'ID'))).toEqual([
      'POST /api/tokens/ID/usage/reset',
    ])
  })

  it('says why its figures are not there, and shows them when they are', async () => {
    const relay = await furnished()
    const { dialog } = await visit(relay, 'Build machine')
    relay.before = async (call) => {
      if (call.endsWith('/usage')) throw new Refused(503, 'busy')
    }
    await dialog.getByRole('tab', { name: 'Usage' }).click()
    await dialog.getByText('Could not be loaded: busy').waitFor()
    relay.before = async () => {}
    await dialog.getByText('12.3 GB of 50 GB').waitFor()
  })
})

describe('the editor', () => {
  it('is loaded when it is opened first, and says so when that fails', async () => {
    const relay = await furnished()
    const { page, requested } = await scene.watch(relay.url)
    await signIn(page)
    await goTo(page, 'Tokens')
    const editors = (): number => requested.filter((url) => /assets\/editor-/.test(url)).length
    await rowOf(page, 'Build machine').waitFor()
    expect(editors()).toBe(0)
    await page.route('**/assets/editor-*', (route) => route.abort())
    await page.getByRole('button', { name: 'Policy and usage of Build machine' }).click()
    await page.locator('.toast.error').getByText('Policy').waitFor()
    expect(editors()).toBe(1)
  })

  it('speaks Chinese', async () => {
    const relay = await furnished()
    const page = await scene.open(relay.url, { locale: 'zh-CN' })
    await signIn(page, FULL_KEY, zh)
    await goTo(page, zh.views.tokens)
    const dialog = await openPolicy(page, 'Build machine', zh)
    await dialog.getByLabel('规则 2 的主机').focus()
    await page.keyboard.press('Alt+ArrowUp')
    await dialog.getByRole('status').getByText('规则 2 现在是第 1 条，共 3 条。').waitFor({ state: 'attached' })
    await dialog.getByLabel('主机和端口').fill('10.1.2.3:80')
    await page.keyboard.press('Enter')
    await dialog.locator('.verdict').getByText('拒绝', { exact: true }).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    // no English is left but names and the relay's own words
    const labels = await dialog.locator('label, legend, h3, button, .hint').allTextContents()
    expect(labels.filter((text) => /[a-z]{4,}/i.test(text))).toEqual([])
  })
})
