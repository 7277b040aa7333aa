import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Link } from "wouter";
import type { Endless } from "../api/use-endless";
import { Alert, Loading } from "./feedback";
import { ariaSort, OrderButton, type Ordered } from "./order";

export interface Column<Row> {
  header: string;
  cell: (row: Row) => ReactNode;
  /** Aligns the column to the right, for amounts. */
  isAmount?: boolean;
  /** The column's share of the width. */
  share?: number;
  /** The field by which this column orders the list. */
  by?: string;
}

interface Props<Row extends { id: string }> {
  label: string;
  columns: Column<Row>[];
  list: Endless<Row>;
  href: (row: Row) => string;
  empty: ReactNode;
  ordered?: Ordered<string>;
}

const ROW_PX = 53;
const ROWS_AHEAD = 8;

/** How near the end more rows are fetched, before the user scrolls there. */
const ROWS_LEFT = 40;

/** A table of any length: only the visible rows are rendered, and more are fetched before its end is reached. */
export function List<Row extends { id: string }>(props: Props<Row>) {
  const { label, columns, list, href, empty, ordered } = props;
  const { rows, hasMore, isLoading, isAnswered, error, loadMore } = list;
  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const isShown = rows.length > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the table exists once there are rows.
  useLayoutEffect(() => setTop(body.current?.offsetTop ?? 0), [isShown]);
  // Keep the same function for the same rows: with a new one the position of every row is computed again.
  const keyOf = useCallback((index: number) => rows[index]?.id ?? index, [rows]);
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW_PX,
    overscan: ROWS_AHEAD,
    scrollMargin: top,
    getItemKey: keyOf,
  });
  const items = virtual.getVirtualItems();
  const lastInSight = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !isLoading && lastInSight >= rows.length - ROWS_LEFT) loadMore();
  }, [hasMore, isLoading, lastInSight, rows.length, loadMore]);

  const failure = error && <Alert>{error}</Alert>;
  const isReordered = ordered !== undefined && !isAnswered; // the heading that was pressed keeps the focus
  if (rows.length === 0 && !isReordered) {
    return (
      <>
        {failure}
        {isAnswered ? empty : <Loading />}
      </>
    );
  }
  const grid = { gridTemplateColumns: columns.map(({ share = 1 }) => `minmax(0, ${share}fr)`).join(" ") };
  return (
    <>
      {failure}
      <div
        role="table"
        aria-label={label}
        aria-rowcount={hasMore || isReordered ? -1 : rows.length + 1}
        className="list"
      >
        <div role="rowgroup" className="list-head">
          <div role="row" className="list-row" style={grid} aria-rowindex={1}>
            {columns.map((column) => (
              <Heading key={column.header} column={column} ordered={ordered} />
            ))}
          </div>
        </div>
        {/* A row group must have rows, so there is none while the list is loading. */}
        <div
          {...(isShown ? { role: "rowgroup" } : {})}
          ref={body}
          className="list-body"
          style={{ height: virtual.getTotalSize() }}
        >
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <div
                role="row"
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                aria-rowindex={item.index + 2}
                className="list-row"
                style={{ ...grid, transform: `translateY(${item.start - virtual.options.scrollMargin}px)` }}
              >
                {columns.map((column, place) => (
                  <div role="cell" key={column.header} className={column.isAmount ? "cell amount" : "cell"}>
                    {place === 0 ? (
                      <Link href={href(row)} className="row-link">
                        {column.cell(row)}
                      </Link>
                    ) : (
                      column.cell(row)
                    )}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      {(hasMore || isReordered) && isLoading && <Loading />}
    </>
  );
}

interface HeadingProps {
  column: { header: string; isAmount?: boolean; by?: string };
  ordered: Ordered<string> | undefined;
}

function Heading({ column, ordered }: HeadingProps) {
  const way = ordered?.ways.find(({ field }) => field === column.by);
  const className = column.isAmount ? "cell amount" : "cell";
  if (!ordered || !way) {
    return (
      <div role="columnheader" className={className}>
        {column.header}
      </div>
    );
  }
  return (
    <div role="columnheader" className={className} aria-sort={ariaSort(way, ordered.order)}>
      <OrderButton ordered={ordered} way={way} />
    </div>
  );
}
