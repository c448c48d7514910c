import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, type ReactNode, useMemo, useRef, useState } from 'react'
import { useMedia } from './small.js'

export interface Column<T> {
  readonly key: string
  readonly title: string
  readonly cell: (row: T) => ReactNode
  /** Numbers stand right. */
  readonly numeric?: boolean
  /** Column without a visible title: buttons. */
  readonly actions?: boolean
  /** Not shown on a phone. */
  readonly wideOnly?: boolean
  readonly compare?: (a: T, b: T) => number
}

interface TableProps<T> {
  /** Names the grid's column widths in the style sheet. */
  readonly kind: string
  readonly label: string
  readonly rows: readonly T[]
  readonly columns: readonly Column<T>[]
}

interface Sorting {
  readonly key: string
  readonly down: boolean
}

const NARROW = '(max-width: 760px)'
const ROW_PX = 49
const CARD_PX = 168

/** A table that holds only the rows in sight, and tells assistive technology about the others. */
export function VirtualTable<T extends { readonly id: string }>(props: TableProps<T>): ReactNode {
  const { kind, label, columns } = props
  const narrow = useMedia(NARROW)
  const [sorting, setSorting] = useState<Sorting>()
  const rows = useMemo(() => sorted(props.rows, columns, sorting), [props.rows, columns, sorting])
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (narrow ? CARD_PX : ROW_PX),
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 8,
  })
  const shown = narrow ? columns.filter(({ wideOnly }) => !wideOnly) : columns
  return (
    <div className={`table ${kind}`} ref={scroller} tabIndex={0} role="region" aria-label={label}>
      <div role="table" aria-label={label} aria-rowcount={rows.length + 1} aria-colcount={shown.length}>
        <div role="rowgroup" className="thead">
          <div role="row" className="tr" aria-rowindex={1}>
            {shown.map((column) => (
              <Heading key={column.key} column={column} sorting={sorting} onSort={setSorting} />
            ))}
          </div>
        </div>
        <div role="rowgroup" className="tbody" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, key, start }) => {
            const row = rows[index]
            if (row === undefined) return null
            return (
              <div
                key={key}
                role="row"
                tabIndex={-1}
                className="tr"
                aria-rowindex={index + 2}
                data-index={index}
                data-id={row.id}
                ref={virtual.measureElement}
                style={{ transform: `translateY(${start}px)` }}
              >
                <Cells row={row} columns={shown as readonly Column<{ id: string }>[]} />
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

const Cells = memo(function Cells<T>({ row, columns }: { row: T; columns: readonly Column<T>[] }): ReactNode {
  return columns.map((column) => (
    <div
      key={column.key}
      role="cell"
      className={cellClass(column)}
      data-title={column.actions ? undefined : column.title}
    >
      {column.cell(row)}
    </div>
  ))
}) as <T>(props: { row: T; columns: readonly Column<T>[] }) => ReactNode

interface HeadingProps<T> {
  readonly column: Column<T>
  readonly sorting: Sorting | undefined
  readonly onSort: (sorting: Sorting | undefined) => void
}

/** Pressed again it turns the order round, and a third time it takes it back. */
function Heading<T>({ column, sorting, onSort }: HeadingProps<T>): ReactNode {
  const { key, title, compare, actions } = column
  const mine = sorting?.key === key ? sorting : undefined
  const next = mine === undefined ? { key, down: false } : mine.down ? undefined : { key, down: true }
  const order = mine === undefined ? 'none' : mine.down ? 'descending' : 'ascending'
  return (
    <div role="columnheader" className={cellClass(column)} aria-sort={compare === undefined ? undefined : order}>
      {compare === undefined ? (
        <span className={actions ? 'off-screen' : ''}>{title}</span>
      ) : (
        <button type="button" className="sort" onClick={() => onSort(next)}>
          {title}
          {mine !== undefined && <span aria-hidden="true">{mine.down ? '↓' : '↑'}</span>}
        </button>
      )}
    </div>
  )
}

function cellClass({ key, numeric, actions }: Pick<Column<never>, 'key' | 'numeric' | 'actions'>): string {
  return ['td', `c-${key}`, numeric ? 'num' : '', actions ? 'acts' : ''].filter((name) => name !== '').join(' ')
}

function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], sorting: Sorting | undefined): readonly T[] {
  const compare = columns.find(({ key }) => key === sorting?.key)?.compare
  if (compare === undefined || sorting === undefined) return rows
  return rows.toSorted((a, b) => (sorting.down ? compare(b, a) : compare(a, b)))
}
