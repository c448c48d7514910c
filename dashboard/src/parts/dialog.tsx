import { AlertDialog } from '@base-ui/react/alert-dialog'
import { Dialog } from '@base-ui/react/dialog'
import { type ReactNode, useState } from 'react'
import { useMessages } from '../text/messages.js'

interface ModalProps {
  readonly title: string
  readonly onClose: () => void
  /** Asked before it closes by Escape or its button; `false` keeps it open. */
  readonly mayClose?: () => boolean
  readonly wide?: boolean
  readonly narrow?: boolean
  /** As wide as the tables of a view. */
  readonly broad?: boolean
  /** A press beside a form doesn't throw away what was typed; Escape does. */
  readonly form?: boolean
  readonly children: ReactNode
}

/** Closing gives the focus back to where it was. */
export function Modal(props: ModalProps): ReactNode {
  const { title, onClose, mayClose, wide, narrow, broad, form = false, children } = props
  const t = useMessages()
  const size = wide ? 'wide-dialog' : narrow ? 'narrow-dialog' : broad ? 'broad-dialog' : ''
  const change = (open: boolean, { cancel }: Pick<Dialog.Root.ChangeEventDetails, 'cancel'>): void => {
    if (open) return
    if (mayClose === undefined || mayClose()) onClose()
    else cancel()
  }
  return (
    <Dialog.Root defaultOpen disablePointerDismissal={form} onOpenChange={change}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" forceRender />
        <Dialog.Popup className={`dialog ${size}`}>
          <div className="dialog-head">
            <Dialog.Title className="dialog-title">{title}</Dialog.Title>
            <Dialog.Close className="dialog-close" aria-label={t.commands.close}>
              ×
            </Dialog.Close>
          </div>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

interface ConfirmProps {
  readonly title: string
  readonly lines: readonly string[]
  readonly action: string
  readonly onConfirm: () => Promise<void>
  readonly onClose: () => void
}

/** Asks before something that can't be taken back. */
export function Confirm({ title, lines, action, onConfirm, onClose }: ConfirmProps): ReactNode {
  const t = useMessages()
  const [busy, setBusy] = useState(false)
  const confirm = (): void => {
    setBusy(true)
    void onConfirm().finally(onClose)
  }
  return (
    <AlertDialog.Root defaultOpen onOpenChange={(open) => !open && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" forceRender />
        <AlertDialog.Popup className="dialog">
          <AlertDialog.Title className="dialog-title">{title}</AlertDialog.Title>
          <AlertDialog.Description className="dialog-text" render={<div />}>
            {lines.map((line) => (
              <p key={line}>{line}</p>
            ))}
          </AlertDialog.Description>
          <div className="dialog-foot">
            <AlertDialog.Close className="button">{t.form.cancel}</AlertDialog.Close>
            <button type="button" className="button danger" disabled={busy} onClick={confirm}>
              {action}
            </button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
