import { useCallback } from "react";
import { useSearchParams } from "wouter";

export type Direction = "ASC" | "DESC";

/** The field and the direction by which a list is ordered. */
export interface Order<Field extends string> {
  field: Field;
  direction: Direction;
}

/** A way to order a list: its label, and the direction that it begins with. */
export interface Way<Field extends string> extends Order<Field> {
  label: string;
}

export interface Ordered<Field extends string> {
  order: Order<Field>;
  ways: readonly Way<Field>[];
  choose(order: Order<Field>): void;
}

const NAME = "order";

/** The order of a list, kept in its address: `?order=-TOTAL` is the largest first. The first way is the default. */
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

/** Whether a list is in its default order, in which new rows come first. */
export const isNewestFirst = ({ field, direction }: Order<string>): boolean =>
  field === "CREATED_AT" && direction === "DESC";

/** Chooses a way; choosing it again reverses its direction. */
function turned<Field extends string>(way: Way<Field>, { field, direction }: Order<Field>): Order<Field> {
  if (way.field !== field) return { field: way.field, direction: way.direction };
  return { field, direction: direction === "ASC" ? "DESC" : "ASC" };
}

interface ByProps<Field extends string> {
  ordered: Ordered<Field>;
  way: Way<Field>;
}

const ARROWS = { ASC: "↑", DESC: "↓" };

/** A column heading that orders the list by its column. */
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

/** The value of a column heading's `aria-sort`. */
export function ariaSort(way: Way<string>, { field, direction }: Order<string>) {
  if (way.field !== field) return "none";
  return direction === "ASC" ? "ascending" : "descending";
}

const BOTH = ["ASC", "DESC"] as const;
const IN_WORDS = { ASC: "ascending", DESC: "descending" };

/** The same choice as a menu, for narrow screens without headings. */
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
