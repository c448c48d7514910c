import { Toast } from '@base-ui/react/toast'
import type { ReactNode } from 'react'
import { useMessages } from '../text/messages.js'

export function Toasts(): ReactNode {
  const t = useMessages()
  const { toasts } = Toast.useToastManager()
  return (
    <Toast.Portal>
      <Toast.Viewport className="toasts">
        {toasts.map((toast) => (
          <Toast.Root key={toast.id} toast={toast} className={`toast ${toast.type ?? ''}`}>
            <Toast.Content className="toast-content">
              <Toast.Title className="toast-title" />
              <Toast.Description className="toast-text" />
            </Toast.Content>
            <Toast.Close className="toast-close" aria-label={t.commands.close}>
              ×
            </Toast.Close>
          </Toast.Root>
        ))}
      </Toast.Viewport>
    </Toast.Portal>
  )
}
