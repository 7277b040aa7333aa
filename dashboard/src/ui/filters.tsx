import { useCallback } from "react";
import { useSearchParams } from "wouter";
import { Button } from "./button";
import { inWords } from "./values";

/** The filters of a list, kept in its address: a link shows the same list, and the back button undoes a filter. */
export function useFilters<Name extends string>(names: readonly Name[]) {
  const [search, setSearch] = useSearchParams();
  const values = Object.fromEntries(names.map((name) => [name, search.get(name) ?? ""])) as Record<Name, string>;
  const set = useCallback(
    (name: Name, value: string) =>
      setSearch(
        (before) => {
          const after = new URLSearchParams(before);
          if (value) after.set(name, value);
          else after.delete(name);
          return after;
        },
        { replace: true },
      ),
    [setSearch],
  );
  const clear = () =>
    setSearch((before) => {
      const after = new URLSearchParams(before);
      for (const name of names) after.delete(name);
      return after;
    });
  return { values, set, clear, isAny: names.some((name) => values[name]) };
}

interface ChoiceProps {
  label: string;
  value: string;
  options: readonly { value: string; label: string }[];
  onChange: (value: string) => void;
}

/** A choice of one value, or all. */
export const Choice = ({ label, value, options, onChange }: ChoiceProps) => (
  <label className="filter">
    <span>{label}</span>
    <select value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">All</option>
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  </label>
);

interface TypedProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  type?: "search" | "date";
  placeholder?: string;
}

export const Typed = ({ label, value, onChange, type = "search", placeholder }: TypedProps) => (
  <label className={type === "search" ? "filter filter-search" : "filter"}>
    <span>{label}</span>
    <input type={type} value={value} placeholder={placeholder} onChange={(event) => onChange(event.target.value)} />
  </label>
);

interface PeriodProps {
  values: { from: string; to: string };
  set: (name: "from" | "to", value: string) => void;
}

/** A range from the start of a day to the end of a day. */
export const Period = ({ values, set }: PeriodProps) => (
  <>
    <Typed label="From" type="date" value={values.from} onChange={(to) => set("from", to)} />
    <Typed label="To" type="date" value={values.to} onChange={(to) => set("to", to)} />
  </>
);

export const Clear = ({ isAny, onClear }: { isAny: boolean; onClear: () => void }) =>
  isAny ? (
    <Button kind="quiet" onPress={onClear}>
      Clear filters
    </Button>
  ) : null;

export const optionsOf = (values: readonly string[]) => values.map((value) => ({ value, label: inWords(value) }));

/** The instant at which a day begins in the user's time zone, or at which the next day does. */
export function startOf(day: string, daysLater = 0): string | null {
  if (!day) return null;
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  const start = new Date(year, month - 1, date + daysLater);
  return Number.isNaN(start.getTime()) ? null : start.toISOString();
}
