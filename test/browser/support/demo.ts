import type { Token } from '../../../dashboard/src/api/types.js'
import type { FakeState } from './fake-state.js'

const TARGETS = [
  'wiki.example.com:443',
  'git.example.com:22',
  'intranet.example.com:80',
  'mail.example.com:993',
  'db.example.com:5432',
  'files.example.com:445',
  'build.example.com:8080',
  'api.example.com:443',
  'printer.example.com:631',
  'registry.example.com:5000',
]

/** By what streams came to the port of a reverse token. */
const INBOUND = ['http', 'socks5', 'http', 'socks4'] as const

/** Of the certificate of the build machine. */
const BUILDER = 'CN=builder-1,OU=Build machines,O=Example Ltd'

const minutesAgo = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString()

/** Policies, and what is used of their quotas. */
function limit(state: FakeState, phone: Token, ci: Token, office: Token): void {
  state.changeToken(phone.id, { policy: { quota: { bytes: 2_000_000_000, period: 'day', direction: 'both' } } })
  state.use(phone.id, 2_000_000_000)
  state.changeToken(ci.id, {
    policy: {
      egress: [
        { action: 'deny', hosts: ['@private', '@metadata'] },
        {
          action: 'allow',
          hosts: ['registry.example.com', '*.git.example.com'],
          ports: [443, [5000, 5010]],
          protocol: 'tcp',
        },
        { action: 'allow', hosts: ['198.51.100.0/24', '2001:db8::/32'], ports: [22] },
      ],
      egress_default: 'deny',
      max_streams: 200,
      connects_per_minute: 600,
      sources: ['203.0.113.80', '203.0.113.81'],
      client_subjects: [BUILDER],
      hours: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '06:00', to: '22:00', zone: 'Europe/Berlin' }],
      rate: { up: 10_000_000, down: 25_000_000 },
      quota: { bytes: 50_000_000_000, period: 'month', direction: 'both' },
    },
  })
  state.use(ci.id, 12_300_000_000)
  state.figures.set(ci.id, {
    total: { up: 3_140_000_000, down: 21_700_000_000 },
    month: { up: 1_420_000_000, down: 10_880_000_000 },
    day: { up: 96_400_000, down: 812_000_000 },
    rate: { up: 182_000, down: 2_410_000 },
    throttled: { up: 0, down: 64_200_000 },
    dropped_datagrams: 12,
    refusals: {
      egress: 37,
      depends: 0,
      streams: 0,
      connects: 4,
      hours: 2,
      sources: 0,
      subjects: 1,
      clients: 0,
      quota: 0,
    },
  })
  state.changeToken(office.id, { policy: { quota: { bytes: 10_000_000_000, period: 'month', direction: 'down' } } })
  state.use(office.id, 8_700_000_000)
}

/** A relay of a small company, in a state that shows something everywhere. */
export function furnish(state: FakeState): void {
  const forward = (label: string): Token => state.addToken({ type: 'forward', label, token: `demo-${label}-3f9c1b7e` })
  const laptop = forward('Ada’s laptop')
  const phone = forward('Grace’s phone')
  const ci = forward('Build machine')
  const office = state.addToken({
    type: 'reverse',
    label: 'Office network',
    token: 'demo-office-71ab',
    username: 'ada',
    password: 'x',
  })
  const lab = state.addToken({ type: 'reverse', label: 'Laboratory', token: 'demo-lab-55d0' })
  const homes = state.addToken({
    type: 'reverse',
    label: 'Homes',
    token: 'demo-homes-0c2e',
    allow_manage_connector: true,
  })
  const guest = state.addToken({
    type: 'connector',
    label: 'Guest in the office',
    token: 'guest-office-9d1f',
    reverse_token: office.token,
  })
  const audit = state.addToken({
    type: 'connector',
    label: 'Auditor',
    token: 'audit-office-44ce',
    reverse_token: office.token,
    expires_at: new Date(Date.now() + 9 * 86_400_000).toISOString(),
  })
  const old = forward('Old tablet')
  state.changeToken(old.id, { enabled: false })
  state.token(lab.id).port_error = null
  limit(state, phone, ci, office)

  const client = (
    token: Token,
    address: string,
    minutes: number,
    rtt: number,
    received: number,
    sent: number,
    subject: string | null = null,
  ) =>
    state.addClient(token, address, {
      subject,
      since: minutesAgo(minutes),
      rtt_ms: rtt,
      received_bytes: received,
      sent_bytes: sent,
    })
  const asker = client(laptop, '203.0.113.24', 187, 18.4, 48_200_000, 912_400_000)
  const builder = client(ci, '203.0.113.80', 4_310, 4.2, 3_140_000_000, 21_700_000_000, BUILDER)
  client(phone, '203.0.113.131', 12, 63.9, 1_830_000, 26_900_000)
  const provider = client(office, '203.0.113.7', 9_840, 9.1, 7_420_000_000, 1_260_000_000)
  const second = client(office, '203.0.113.8', 620, 9.6, 511_000_000, 88_000_000)
  client(lab, '203.0.113.45', 2_204, 31.2, 92_600_000, 15_300_000)
  client(homes, '203.0.113.160', 55, 27.7, 4_100_000, 9_800_000)
  const connector = client(guest, '203.0.113.99', 41, 22.8, 6_270_000, 143_000_000)
  const auditor = client(audit, '203.0.113.17', 3, 48.1, 120_000, 2_140_000)

  const parties = [
    { mode: 'forward', token_id: laptop.id, client_id: asker.id, provider_id: null },
    { mode: 'forward', token_id: ci.id, client_id: builder.id, provider_id: null },
    { mode: 'reverse', token_id: office.id, client_id: null, provider_id: provider.id },
    { mode: 'agent', token_id: guest.id, client_id: connector.id, provider_id: second.id },
    { mode: 'agent', token_id: audit.id, client_id: auditor.id, provider_id: provider.id },
  ] as const
  for (let count = 0; count < 48; count++) {
    const party = parties[(count * 7) % parties.length]
    if (party === undefined) continue
    const udp = count % 11 === 5
    const size = ((count * 7_919) % 97) ** 3
    state.addStream({
      ...party,
      target: udp ? null : (TARGETS[(count * 3) % TARGETS.length] ?? null),
      protocol: udp ? 'udp' : 'tcp',
      inbound: party.mode !== 'reverse' ? null : udp ? 'socks5' : (INBOUND[count % INBOUND.length] ?? null),
      since: minutesAgo((47 - count) ** 2 / 30),
      received_bytes: size * 61,
      sent_bytes: size * 7,
      state: count === 47 ? 'opening' : 'open',
    })
  }
}
