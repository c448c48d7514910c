import { HOST_LISTS } from '../../policy/host-entry.js'
import type { Flag } from '../settings/flags.js'

const POLICY_GROUP = 'Policy:'

export const ALLOW: Flag = {
  flags: '--allow <rule>',
  help: `let it reach this: HOST[:PORTS][/tcp|/udp]; HOST: name, *.suffix, CIDR, IP, A-B, ${HOST_LISTS.join(', ')}, empty or * for any host, IPv6 in brackets; PORTS: 443 or 22,8000-8999; may be repeated, the first rule that fits decides`,
  group: POLICY_GROUP,
  repeatable: true,
  ordered: true,
}
export const DENY: Flag = {
  flags: '--deny <rule>',
  help: 'refuse this; as --allow, and in one order with it',
  group: POLICY_GROUP,
  repeatable: true,
  ordered: true,
}
export const DEFAULT_ALLOW: Flag = {
  flags: '--default-allow',
  help: 'let it reach what no rule speaks of; without either default it may where there is no --allow',
  group: POLICY_GROUP,
}
export const DEFAULT_DENY: Flag = {
  flags: '--default-deny',
  help: 'refuse what no rule speaks of',
  group: POLICY_GROUP,
}
export const MAX_STREAMS: Flag = {
  flags: '--max-streams <count>',
  help: 'TCP connections and UDP associations at a time',
  group: POLICY_GROUP,
}
export const MAX_CLIENTS: Flag = {
  flags: '--max-clients <count>',
  help: 'clients at a time',
  group: POLICY_GROUP,
}
export const CONNECTS_PER_MINUTE: Flag = {
  flags: '--connects-per-minute <count>',
  help: 'TCP connections and UDP associations that may begin in any minute',
  group: POLICY_GROUP,
}
export const SOURCE: Flag = {
  flags: '--source <address>',
  help: 'take its clients from here alone: CIDR, IP, A-B or 192.168.1.1-255; may be repeated',
  group: POLICY_GROUP,
  repeatable: true,
}
export const CLIENT_SUBJECT: Flag = {
  flags: '--client-subject <subject>',
  help: 'take its own clients with this certificate alone, by its whole subject: CN=ann,O=Example; may be repeated',
  group: POLICY_GROUP,
  repeatable: true,
}
export const HOURS: Flag = {
  flags: '--hours <time>',
  help: "let it be used at these times alone: [DAYS] FROM-TO [ZONE], such as 'mon-fri 08:00-18:00 Europe/Berlin', in UTC without a zone; may be repeated",
  group: POLICY_GROUP,
  repeatable: true,
}
export const RATE_UP: Flag = {
  flags: '--rate-up <size>',
  help: 'bytes a second towards destinations, all of its streams together: 10M, 1.5M (K is 1,000), 64KiB (1,024); none takes the limit away',
  group: POLICY_GROUP,
}
export const RATE_DOWN: Flag = {
  flags: '--rate-down <size>',
  help: 'as --rate-up, from destinations',
  group: POLICY_GROUP,
}
export const RATE_BURST: Flag = {
  flags: '--rate-burst <size>',
  help: 'bytes that may go at once after a pause; none brings back the 64KiB that hold without it',
  group: POLICY_GROUP,
}
export const STREAM_RATE_UP: Flag = {
  flags: '--stream-rate-up <size>',
  help: 'as --rate-up, each stream for itself',
  group: POLICY_GROUP,
}
export const STREAM_RATE_DOWN: Flag = {
  flags: '--stream-rate-down <size>',
  help: 'as --rate-down, each stream for itself',
  group: POLICY_GROUP,
}
export const QUOTA: Flag = {
  flags: '--quota <size/period>',
  help: 'bytes that may pass in a period: SIZE/day, SIZE/month (from 00:00 UTC) or SIZE/total, with /up or /down in one direction alone, such as 50G/month/down; none takes it away',
  group: POLICY_GROUP,
}
export const NO_EGRESS: Flag = {
  flags: '--no-egress',
  help: 'take all rules of --allow and --deny away, and the default',
  group: POLICY_GROUP,
}
export const NO_MAX_STREAMS: Flag = {
  flags: '--no-max-streams',
  help: 'lift the limit of --max-streams',
  group: POLICY_GROUP,
}
export const NO_MAX_CLIENTS: Flag = {
  flags: '--no-max-clients',
  help: 'lift the limit of --max-clients',
  group: POLICY_GROUP,
}
export const NO_CONNECTS_PER_MINUTE: Flag = {
  flags: '--no-connects-per-minute',
  help: 'lift the limit of --connects-per-minute',
  group: POLICY_GROUP,
}
export const NO_SOURCES: Flag = {
  flags: '--no-sources',
  help: 'take its clients from anywhere',
  group: POLICY_GROUP,
}
export const NO_CLIENT_SUBJECTS: Flag = {
  flags: '--no-client-subjects',
  help: 'take its clients with any certificate, or none',
  group: POLICY_GROUP,
}
export const NO_HOURS: Flag = { flags: '--no-hours', help: 'let it be used at any time', group: POLICY_GROUP }
export const NO_POLICY: Flag = { flags: '--no-policy', help: 'lift all limits of its policy', group: POLICY_GROUP }
export const PROTOCOL: Flag = {
  flags: '--protocol <protocol>',
  help: 'what would be used: tcp or udp',
  group: POLICY_GROUP,
  fallback: 'tcp',
  choices: ['tcp', 'udp'],
}

/** Those that say where a token leads. */
export const EGRESS_FLAGS: readonly Flag[] = [ALLOW, DENY, DEFAULT_ALLOW, DEFAULT_DENY]
export const POLICY_FLAGS: readonly Flag[] = [
  ...EGRESS_FLAGS,
  MAX_STREAMS,
  MAX_CLIENTS,
  CONNECTS_PER_MINUTE,
  SOURCE,
  CLIENT_SUBJECT,
  HOURS,
  RATE_UP,
  RATE_DOWN,
  RATE_BURST,
  STREAM_RATE_UP,
  STREAM_RATE_DOWN,
  QUOTA,
]
export const NO_POLICY_FLAGS: readonly Flag[] = [
  NO_EGRESS,
  NO_MAX_STREAMS,
  NO_MAX_CLIENTS,
  NO_CONNECTS_PER_MINUTE,
  NO_SOURCES,
  NO_CLIENT_SUBJECTS,
  NO_HOURS,
  NO_POLICY,
]
