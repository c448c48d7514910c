import { type ComponentType, type ReactNode, useEffect, useState } from 'react'
import type { Token } from '../api/types.js'
import { tellFailure } from '../parts/small.js'
import { useMessages } from '../text/messages.js'

interface PolicyDialogProps {
  readonly token: Token
  readonly onClose: () => void
}

/** The editor of policies, which is loaded when it is opened: signing in doesn't wait for it. */
export function PolicyDialog(props: PolicyDialogProps): ReactNode {
  const t = useMessages()
  const { onClose } = props
  const [Editor, setEditor] = useState<ComponentType<PolicyDialogProps>>()
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is loaded once
  useEffect(() => {
    let shown = true
    import('./policy/editor.js').then(
      ({ PolicyEditor }) => shown && setEditor(() => PolicyEditor),
      (error: unknown) => {
        if (!shown) return
        tellFailure(t.policy.open, error)
        onClose()
      },
    )
    return () => {
      shown = false
    }
  }, [])
  return Editor === undefined ? null : <Editor {...props} />
}
