/**
 * Long run with real processes on loopback, whose links are cut at random:
 *
 *     npm run soak -- [--minutes 10] [--channels 200000] [--cuts 500] [--transfer 400] [--garbage 1000] [--slow 10000] [--seed 1]
 *
 * A server, a provider, a connector and a forward client, each client behind a relay that resets its connections. Short
 * requests, half-closes and bulk with checked digests run all the time; one download and one upload of --transfer MB run in
 * forward and in agent mode. One line of figures a minute. At the end: no failures, RSS within 10 % of that after the first
 * minute, as many open files as at the beginning, and then --garbage broken connections to each port and --slow connections
 * that never finish a header, which may not keep a good client out. Ends with 0 or 1.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { oneChannel, open, startTarget, transfer, worker } from './soak/channels.mjs'
import { goodClient, openSlow, throwGarbage } from './soak/hostile.mjs'
import {
  began,
  endAt,
  eventually,
  fail,
  MB,
  minutes,
  random,
  seconds,
  total,
  upTo,
  WORKERS,
  wanted,
} from './soak/plan.mjs'
import { Program, startPrograms } from './soak/programs.mjs'

/** Cuts links that are up, at random moments. */
async function cutter(links, stopped) {
  const pause = (minutes * 60_000) / wanted.cuts
  for (let count = 0; count < wanted.cuts && !stopped(); count++) {
    const planned = began + count * pause + random() * pause
    await sleep(Math.max(0, planned - performance.now()))
    let link
    while (link === undefined && !stopped()) {
      const up = links.filter(({ program }) => program.count('link.up') > program.count('link.down'))
      link = up[upTo(up.length)]
      if (link === undefined || link.relay.cut() === 0) {
        link = undefined
        await sleep(20)
      }
    }
    if (link === undefined) return
    link.cuts += 1
    total.cuts += 1
  }
}

/** Figures every five seconds; the smoothed RSS of a moment is the mean of the last three. */
const samples = []
const smoothed = (index) =>
  Program.all.map((_, which) => {
    const part = samples.slice(Math.max(0, index - 2), index + 1)
    return part.reduce((sum, rss) => sum + rss[which], 0) / part.length
  })

function report(server) {
  total.resumed = server.count('link.resumed')
  const rss = Program.all.map((program) => `${program.name} ${program.rss.toFixed(0)}`).join(', ')
  const { channels, cuts, resumed, failures, refused } = total
  console.log(
    `${seconds(began)} s: ${channels} channels, ${cuts} cuts, ${resumed} resumed, RSS MB: ${rss}, ${refused} refused, ${failures} failures`,
  )
}

async function main() {
  const { server, port, links, agent, forward } = await startPrograms()
  const target = await startTarget()
  for (const socksPort of [agent, forward]) for (let turn = 0; turn < 20; turn++) await oneChannel(socksPort, target)
  total.channels = 0
  await sleep(1_000)
  const filesBefore = Program.all.map(({ files }) => files)
  console.log(
    `soak: ${minutes} min, ${wanted.channels} channels, ${wanted.cuts} cuts, transfers of ${wanted.transferBytes / MB} MB`,
  )

  // a run that is slower than planned gets as much time again
  const stopped = () =>
    performance.now() > began + 2 * minutes * 60_000 || (performance.now() > endAt && total.channels >= wanted.channels)
  const sampler = setInterval(() => {
    samples.push(Program.all.map(({ rss }) => rss))
    if (samples.length % 12 === 0) report(server)
  }, 5_000)
  const [provider, connector, client] = links
  const cutsOf =
    (...of) =>
    () =>
      of.reduce((sum, { cuts }) => sum + cuts, 0)
  const work = Array.from({ length: WORKERS }, () => worker([agent, forward], target, stopped))
  if (wanted.transferBytes > 0) {
    for (const direction of ['download', 'upload']) {
      work.push(transfer('forward', forward, target, direction, cutsOf(client)))
      work.push(transfer('agent', agent, target, direction, cutsOf(provider, connector)))
    }
  }
  await Promise.all([...work, cutter(links, stopped)])
  clearInterval(sampler)
  samples.push(Program.all.map(({ rss }) => rss))
  report(server)

  if (total.channels < wanted.channels) fail(`only ${total.channels} channels of ${wanted.channels}`)
  const first = smoothed(Math.min(11, samples.length - 1))
  const last = smoothed(samples.length - 1)
  for (const [index, program] of Program.all.entries()) {
    const grown = last[index] / first[index] - 1
    const text = `RSS of ${program.name}: ${first[index].toFixed(0)} MB after the first minute, ${last[index].toFixed(0)} MB at the end (${(grown * 100).toFixed(1)} %)`
    console.log(text)
    if (grown > 0.1) fail(text)
  }
  const main = [...Program.all]
  const filesBack = () => main.every(({ files }, index) => files <= filesBefore[index] + 2)
  const filesText = () =>
    `open files: ${main.map(({ name, files }, index) => `${name} ${filesBefore[index]} -> ${files}`).join(', ')}`
  await eventually(filesText, filesBack, 30_000)
  await eventually(
    () => `${open.size} connections of the destination are still open`,
    () => open.size === 0,
    5_000,
  )
  console.log(filesText())

  if (wanted.garbage > 0) {
    await Promise.all([throwGarbage(port, wanted.garbage), throwGarbage(forward, wanted.garbage)])
    await goodClient(port, target, `after ${wanted.garbage} broken connections to each port`)
  }
  if (wanted.slow > 0) {
    const end = await openSlow(port, wanted.slow)
    await goodClient(port, target, 'beside the slow connections')
    end()
  }
  await eventually(filesText, () => main[0].files <= filesBefore[0] + 6, 30_000)
  console.log(filesText())
}

try {
  await main()
} catch (error) {
  fail(error.stack)
}
Program.ending = true
for (const { child, exited } of Program.all) if (!exited) child.kill('SIGTERM')
await Promise.race([Promise.all(Program.all.map(({ child, exited }) => exited || once(child, 'exit'))), sleep(8_000)])
for (const program of Program.all) if (!program.exited) program.child.kill('SIGKILL')
console.log(total.failures === 0 ? 'soak: good' : `soak: ${total.failures} failures`)
process.exit(total.failures === 0 ? 0 : 1)
