import { Tabs } from '@base-ui/react/tabs'
import { type ReactNode, useState } from 'react'
import type { Token } from '../api/types.js'
import { commandLine, isLoopback, programOf, proxyCommands, relayUrl, type Shell } from '../commands.js'
import { copyText } from '../parts/clipboard.js'
import { Modal } from '../parts/dialog.js'
import { CheckIcon, CopyIcon } from '../parts/icons.js'
import { tokenName } from '../parts/names.js'
import { useSession } from '../state/session.js'
import { protocolNames } from '../text/format.js'
import { useMessages } from '../text/messages.js'

const SHELLS: readonly Shell[] = ['posix', 'powershell']

/** What to run on the other machine. */
export function CommandsDialog({ token, onClose }: { token: Token; onClose: () => void }): ReactNode {
  const t = useMessages()
  const { mayWrite } = useSession()
  const program = programOf(token.type)
  const secret = mayWrite ? token.token : 'TOKEN'
  return (
    <Modal title={t.commands.title(tokenName(token))} onClose={onClose} wide>
      <p className="dialog-text">{t.commands.run[program]}</p>
      <Tabs.Root defaultValue="posix">
        <Tabs.List className="tabs" aria-label={t.commands.shell}>
          {SHELLS.map((shell) => (
            <Tabs.Tab key={shell} value={shell} className="tab">
              {t.commands[shell]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {SHELLS.map((shell) => (
          <Tabs.Panel key={shell} value={shell} className="panel">
            <Command
              text={commandLine(shell, program, relayUrl(location), secret)}
              token={mayWrite ? token.token : undefined}
            />
            <PortUse shell={shell} token={token} />
          </Tabs.Panel>
        ))}
      </Tabs.Root>
      <ul className="notes">
        {isLoopback(location.hostname) && <li className="warn">{t.commands.loopback(location.hostname)}</li>}
        <li>{mayWrite ? t.commands.secret : t.commands.masked}</li>
        {token.port != null && <li>{t.commands.reach}</li>}
        {token.port != null && token.username != null && <li>{t.commands.login}</li>}
        {token.allow_manage_connector && <li>{t.commands.autonomy}</li>}
        {token.state !== 'active' && <li>{t.commands.disabled}</li>}
      </ul>
    </Modal>
  )
}

/** What applications do once a provider is there. */
function PortUse({ shell, token }: { shell: Shell; token: Token }): ReactNode {
  const t = useMessages()
  const { port, proxy_protocols: protocols = [], username = null } = token
  if (port === undefined || port === null) return null
  const lines = proxyCommands(shell, { host: location.hostname, port, protocols, username })
  return (
    <>
      <p className="dialog-text">{t.commands.server(port, protocolNames(protocols))}</p>
      {lines.length > 0 && (
        <pre className="command">
          <code>{lines.join('\n')}</code>
        </pre>
      )}
    </>
  )
}

function Command({ text, token }: { text: string; token: string | undefined }): ReactNode {
  const t = useMessages()
  const [outcome, setOutcome] = useState<'copied' | 'failed'>()
  const copy = async (what: string): Promise<void> => {
    setOutcome((await copyText(what)) ? 'copied' : 'failed')
  }
  return (
    <>
      <pre className="command">
        <code>{text}</code>
      </pre>
      <div className="copy-line">
        <button type="button" className="button primary" onClick={() => void copy(text)}>
          {outcome === 'copied' ? <CheckIcon /> : <CopyIcon />}
          {t.commands.copy}
        </button>
        {token !== undefined && (
          <button type="button" className="button" onClick={() => void copy(token)}>
            {t.commands.copyToken}
          </button>
        )}
        <span role="status" className={outcome === 'failed' ? 'bad' : 'muted'}>
          {outcome === undefined ? '' : t.commands[outcome]}
        </span>
      </div>
    </>
  )
}
