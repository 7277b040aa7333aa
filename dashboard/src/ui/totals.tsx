import { Money, type MoneyValue } from "./values";

export interface Sums {
  currency: string;
  count: number;
  /** AT_LEAST: there may be more than was added up. */
  precision: string;
  sums: readonly { label: string; value: MoneyValue }[];
}

const numbered = new Intl.NumberFormat();

interface Props {
  label: string;
  /** "invoice", "invoices" */
  nouns: readonly [string, string];
  totals: readonly Sums[];
}

/** The totals of a list, one line per currency; nothing if the list is empty. */
export const Totals = ({ label, nouns, totals }: Props) =>
  totals.length > 0 && (
    <section aria-label={label} className="totals">
      {totals.map(({ currency, count, precision, sums }) => {
        const isExact = precision === "EXACT";
        return (
          <dl key={currency} className="totals-line">
            <div>
              <dt>{currency}</dt>
              <dd>
                {!isExact && "at least "}
                {numbered.format(count)} {nouns[count === 1 ? 0 : 1]}
              </dd>
            </div>
            {sums.map((sum) => (
              <div key={sum.label}>
                <dt>{sum.label}</dt>
                <dd>
                  {!isExact && "at least "}
                  <Money value={sum.value} />
                </dd>
              </div>
            ))}
          </dl>
        );
      })}
    </section>
  );
