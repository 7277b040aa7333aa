import { useCallback } from "react";
import { useSearchParams } from "wouter";

export type Direction = "ASC" | "DESC";

/** By what a list is ordered, and from which end. */
export interface Order<Field extends string> {
  field: Field;
  direction: Direction;
}

/** A way to order a list: what it is called, and the direction that is meant by choosing it. */
export interface Way<Field extends string> extends Order<Field> {
  label: string;
}

export interface Ordered<Field extends string> {
  order: Order<Field>;
  ways: readonly Way<Field>[];
  choose(order: Order<Field>): void;
}

const NAME = "order";

/** The order of a list stands in its address: `?order=-TOTAL` is the largest first. The first way is the usual one. */
export function useOrder<Field extends string>(ways: readonly [Way<Field>, ...Way<Field>[]]): Ordered<Field> {
  const [search, setSearch] = useSearchParams();
  const usual = ways[0];
  const given = search.get(NAME) ?? "";
  const way = ways.find(({ field }) => field === given.replace(/^-/, ""));
  const direction: Direction = given.startsWith("-") ? "DESC" : "ASC";
  const order = way ? { field: way.field, direction } : { field: usual.field, direction: usual.direction };
  const choose = useCallback(
    ({ field, direction }: Order<Field>) =>
      setSearch(
        (before) => {
          const after = new URLSearchParams(before);
          if (field === usual.field && direction === usual.direction) after.delete(NAME);
          else after.set(NAME, direction === "DESC" ? `-${field}` : field);
          return after;
        },
        { replace: true },
      ),
    [setSearch, usual],
  );
  return { order, ways, choose };
}

/** What a list is in when nobody has chosen: then what is new stands at its head. */
export const isNewestFirst = ({ field, direction }: Order<string>): boolean =>
  field === "CREATED_AT" && direction === "DESC";

/** What choosing a way does: one that is chosen already is turned round. */
function turned<Field extends string>(way: Way<Field>, { field, direction }: Order<Field>): Order<Field> {
  if (way.field !== field) return { field: way.field, direction: way.direction };
  return { field, direction: direction === "ASC" ? "DESC" : "ASC" };
}

interface ByProps<Field extends string> {
  ordered: Ordered<Field>;
  way: Way<Field>;
}

const ARROWS = { ASC: "↑", DESC: "↓" };

/** A column's heading that orders the list by it. */
export function OrderButton<Field extends string>({ ordered, way }: ByProps<Field>) {
  const { order, choose } = ordered;
  return (
    <button type="button" className="order-button" onClick={() => choose(turned(way, order))}>
      {way.label}
      <span aria-hidden="true" className="order-arrow">
        {way.field === order.field ? ARROWS[order.direction] : ""}
      </span>
    </button>
  );
}

/** What a column's heading tells of the order. */
export function ariaSort(way: Way<string>, { field, direction }: Order<string>) {
  if (way.field !== field) return "none";
  return direction === "ASC" ? "ascending" : "descending";
}

const BOTH = ["ASC", "DESC"] as const;
const IN_WORDS = { ASC: "ascending", DESC: "descending" };

/** The same where there is no room for headings. */
export function OrderChoice<Field extends string>({ ordered }: { ordered: Ordered<Field> }) {
  const { order, ways, choose } = ordered;
  const options = ways.flatMap((way) =>
    BOTH.map((direction) => ({ field: way.field, direction, label: `${way.label}, ${IN_WORDS[direction]}` })),
  );
  const chosen = options.findIndex(({ field, direction }) => field === order.field && direction === order.direction);
  return (
    <label className="filter narrow-only">
      <span>Order</span>
      <select
        value={chosen}
        onChange={({ target }) => {
          const option = options[Number(target.value)];
          if (option) choose({ field: option.field, direction: option.direction });
        }}
      >
        {options.map(({ field, direction, label }, place) => (
          <option key={`${field} ${direction}`} value={place}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
