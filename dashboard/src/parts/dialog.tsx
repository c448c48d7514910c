import { AlertDialog } from '@base-ui/react/alert-dialog'
import { Dialog } from '@base-ui/react/dialog'
import { type ReactNode, useState } from 'react'
import { useMessages } from '../text/messages.js'

interface ModalProps {
  readonly title: string
  readonly onClose: () => void
  readonly wide?: boolean
  readonly narrow?: boolean
  /** A press beside a form doesn't throw away what was typed; Escape does. */
  readonly form?: boolean
  readonly children: ReactNode
}

/** Closing gives the focus back to where it was. */
export function Modal({ title, onClose, wide, narrow, form = false, children }: ModalProps): ReactNode {
  const t = useMessages()
  return (
    <Dialog.Root defaultOpen disablePointerDismissal={form} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={`dialog ${wide ? 'wide-dialog' : narrow ? 'narrow-dialog' : ''}`}>
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
        <AlertDialog.Backdrop className="backdrop" />
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
