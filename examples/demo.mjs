/**
 * The tunnel in one terminal: a relay, a provider and a connector as processes of their own (agent mode), a web page
 * that the provider can reach, and a request for that page through the connector's proxy port.
 */
import { randomBytes } from 'node:crypto'
import { startPrograms } from './demo/programs.mjs'
import { fetchThroughSocks } from './demo/socks-fetch.mjs'
import { startWebPage } from './demo/web-page.mjs'

const say = (line = '') => console.log(line)
const step = (number, text) => say(`\n${number}. ${text}`)

async function demo(programs) {
  const page = await startWebPage()
  const providerToken = randomBytes(16).toString('hex')
  const connectorToken = randomBytes(16).toString('hex')

  say('LinkSocks demo, agent mode: connector -> relay -> provider -> web page. All of it runs on this machine.')

  step(1, `A web page listens on 127.0.0.1:${page.port}. It stands for a site that only the provider can reach.`)

  step(2, 'The relay starts. It knows two tokens, made for this run:')
  const relay = await programs.start(
    'relay',
    ['server', '--reverse', '--ws-host', '127.0.0.1', '--ws-port', '0', '--socks-port', '0'],
    {
      LINKSOCKS_TOKEN: providerToken,
      LINKSOCKS_CONNECTOR_TOKEN: connectorToken,
    },
  )
  const { address } = await relay.event('server.ready')
  say(`     provider token    ${providerToken}   whoever holds it may offer a network`)
  say(`     connector token   ${connectorToken}   whoever holds it may use that network`)
  say(`   It listens on ws://${address} (process ${relay.pid}).`)
  const url = ['--url', `ws://${address}`]

  step(3, 'The provider connects to the relay, with the provider token. It opens no port.')
  const provider = await programs.start('provider', ['provider', ...url, '--debug'], { LINKSOCKS_TOKEN: providerToken })
  await provider.event('link.up')
  say(`   It is connected (process ${provider.pid}).`)

  step(4, 'The connector connects to the relay, with the connector token.')
  const connector = await programs.start('connector', ['connector', ...url, '--socks-port', '0'], {
    LINKSOCKS_TOKEN: connectorToken,
  })
  const socks = await connector.event('socks.listening')
  say(`   It offers SOCKS5 on 127.0.0.1:${socks.port} (process ${connector.pid}).`)

  step(5, `This program asks the proxy port for http://localhost:${page.port}/`)
  const reply = await fetchThroughSocks(socks.port, 'localhost', page.port)
  const { target } = await provider.event('exit.opened')
  if (reply.status !== 200) throw new Error(`the page was answered with HTTP status ${reply.status}`)
  if (reply.bytesSent !== page.bytesReceived() || reply.bytesReceived !== page.bytesSent()) {
    throw new Error('the byte counts of both ends differ')
  }
  say(`     here -> proxy port -> connector -> relay    the name "localhost" and ${reply.bytesSent} bytes of request`)
  say(`     relay -> provider                            the same, in the provider's own WebSocket`)
  say(`     provider -> web page                         looked the name up, connected to ${target}`)
  say(
    `     web page -> ... -> here                      ${reply.bytesReceived} bytes of answer, all that the page sent`,
  )

  step(6, `The page came through: "${reply.title}"`)
  say('\nTry it yourself, from another terminal:')
  say(`   curl --socks5-hostname 127.0.0.1:${socks.port} http://localhost:${page.port}/`)
  say('\nEverything stays up until Ctrl-C.')
  await programs.stopped
  await page.close()
}

const programs = startPrograms()
try {
  await demo(programs)
  say('\nStopped.')
  process.exitCode = 0
} catch (error) {
  if (programs.stopping) {
    say('\nStopped.')
    process.exitCode = 0
  } else {
    console.error(`\nThe demo failed: ${error.message}`)
    process.exitCode = 1
  }
}
await programs.end()
process.exit()
