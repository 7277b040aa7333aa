import { useMemo, useState } from "react";
import { Typed } from "./filters";

/** JSON, one line per value; a search shows only the lines that match. */
export function Payload({ value }: { value: unknown }) {
  const [search, setSearch] = useState("");
  const lines = useMemo(() => JSON.stringify(value, null, 2).split("\n"), [value]);
  const sought = search.trim().toLowerCase();
  const shown = sought ? lines.filter((line) => line.toLowerCase().includes(sought)) : lines;
  return (
    <>
      <div className="filters">
        <Typed label="Search the payload" value={search} onChange={setSearch} />
        {sought && (
          <span role="status" className="hint">
            {shown.length} of {lines.length} lines
          </span>
        )}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling element must be reachable by keyboard */}
      <pre className="payload" tabIndex={0} role="region" aria-label="Payload as JSON">
        {shown.join("\n")}
      </pre>
    </>
  );
}
