import { CSPProvider } from '@base-ui/react/csp-provider'
import { Toast } from '@base-ui/react/toast'
import type { ReactNode } from 'react'
import { toasts } from './parts/small.js'
import { Toasts } from './parts/toasts.js'
import { Shell } from './shell.js'
import { phase, SessionContext } from './state/session.js'
import { useStore } from './state/store.js'
import { useMessages } from './text/messages.js'
import { SignIn } from './views/sign-in.js'

export function App(): ReactNode {
  return (
    <CSPProvider disableStyleElements>
      <Toast.Provider toastManager={toasts}>
        <Page />
        <Toasts />
      </Toast.Provider>
    </CSPProvider>
  )
}

function Page(): ReactNode {
  const t = useMessages()
  const now = useStore(phase)
  if (now.name === 'signed-out') return <SignIn notice={now.notice} />
  if (now.name === 'resuming') return <main className="resuming">{t.signIn.resuming}</main>
  return (
    <SessionContext value={now.session}>
      <Shell />
    </SessionContext>
  )
}
