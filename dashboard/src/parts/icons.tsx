import type { ReactNode } from 'react'

/** Decoration only: the words beside an icon say what it means. */
function icon(paths: ReactNode): () => ReactNode {
  return () => (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {paths}
    </svg>
  )
}

export const OverviewIcon = icon(<path d="M3 12.5 7 8l3.5 3.5L17 5M3 16.5h14" />)
export const TokensIcon = icon(
  <>
    <circle cx="6.5" cy="10" r="3.5" />
    <path d="M10 10h7v3M14 10v2" />
  </>,
)
export const ClientsIcon = icon(
  <>
    <rect x="3" y="4" width="14" height="9" rx="1.5" />
    <path d="M7 16.5h6M10 13v3.5" />
  </>,
)
export const StreamsIcon = icon(<path d="M3 7h11.5M11.5 4l3 3-3 3M17 13H5.5M8.5 10l-3 3 3 3" />)
export const AlarmsIcon = icon(<path d="M5 14h10l-1.3-2V8.5a3.7 3.7 0 0 0-7.4 0V12L5 14ZM8.5 16.5h3" />)
export const SettingsIcon = icon(
  <>
    <path d="M3 6h7M14 6h3M3 14h3M10 14h7" />
    <circle cx="12" cy="6" r="2" />
    <circle cx="8" cy="14" r="2" />
  </>,
)
export const PlusIcon = icon(<path d="M10 4v12M4 10h12" />)
export const EditIcon = icon(<path d="m4 16 .8-3.4L13 4.400l2.6 2.6-8.2 8.200L4 16ZM11.5 6l2.6 2.6" />)
export const RemoveIcon = icon(<path d="M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.600l.7-10M8.5 9v4.500M11.5 9v4.5" />)
export const PolicyIcon = icon(
  <path d="M10 3.2 15.5 5v4.5c0 3.4-2.2 5.8-5.5 7.3-3.3-1.5-5.5-3.9-5.5-7.3V5L10 3.2ZM7.5 9.8l1.9 1.9 3.3-3.6" />,
)
export const UpIcon = icon(<path d="M10 16V5M5.5 9.5 10 5l4.5 4.5" />)
export const DownIcon = icon(<path d="M10 4v11M5.5 10.5 10 15l4.5-4.5" />)
export const CopyIcon = icon(
  <>
    <rect x="7" y="7" width="9" height="9" rx="1.5" />
    <path d="M13 7V5.5A1.5 1.5 0 0 0 11.5 4h-6A1.5 1.5 0 0 0 4 5.5v6A1.5 1.5 0 0 0 5.5 13H7" />
  </>,
)
export const CheckIcon = icon(<path d="m4.5 10.5 3.5 3.5 7.5-8" />)
export const CommandIcon = icon(<path d="m4 6 4 4-4 4M10 15h6" />)
export const SearchIcon = icon(
  <>
    <circle cx="9" cy="9" r="5" />
    <path d="m13 13 4 4" />
  </>,
)

export function Brand(): ReactNode {
  return (
    <svg className="brand-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M7 20h6a5 5 0 0 0 5-5v-1a5 5 0 0 1 5-5h2" />
      <circle cx="7.5" cy="20" r="3" />
      <circle cx="24.5" cy="9" r="3" />
    </svg>
  )
}
