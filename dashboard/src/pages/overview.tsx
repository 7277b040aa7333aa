import { useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import { wordsOf } from "../api/client";
import { EventLine } from "../api/event";
import { graphql, type ResultOf } from "../api/graphql";
import { anything, live, useLive } from "../api/use-live";
import { AttentionCounts, attentionCount } from "../lib/attention";
import { zeroLike } from "../lib/decimal";
import { Chart } from "../ui/chart";
import { Alert, Empty, Loading } from "../ui/feedback";
import { Page } from "../ui/page";
import { Timeline } from "../ui/timeline";
import { Money } from "../ui/values";

const OverviewQuery = graphql(
  `
    query Overview($today: DateTime!, $week: DateTime!, $month: DateTime!, $timeZone: String!) {
      now: totals {
        currency
        open { amount currency }
        overdue { amount currency minorUnits }
        overdueByAge { fromDays toDays count amount { amount currency } }
      }
      today: totals(since: $today) { currency paid { amount currency } }
      week: totals(since: $week) { currency paid { amount currency } }
      month: totals(since: $month) { currency paid { amount currency } }
      revenue(since: $month, interval: DAY, timeZone: $timeZone) {
        currency
        points {
          start
          received { amount currency minorUnits }
          refunded { amount currency minorUnits }
          net { amount currency }
        }
      }
      attention { ...AttentionCounts }
      events(last: 20) { nodes { ...EventLine } }
    }
  `,
  [EventLine, AttentionCounts],
);

type Overview = ResultOf<typeof OverviewQuery>;

const LINES_SHOWN = 20;

/** The overview: open and received amounts, what needs attention, and the newest events. */
export default function OverviewPage() {
  const variables = useDays();
  const { data, error } = useLive(OverviewQuery, variables, anything);
  const needed = data ? attentionCount(data.attention) : 0;
  return (
    <Page title="Overview">
      {error && <Alert>{wordsOf(error)}</Alert>}
      {!data && !error && <Loading />}
      {needed > 0 && (
        <Link href="/attention" className="notice">
          {needed === 1 ? "One thing needs" : `${needed} things need`} your attention
        </Link>
      )}
      {data?.now.length === 0 && (
        <Empty title="Nothing is open, and no payment was received yet.">
          <p>
            <Link href="/integrations">Connect Stripe</Link>, then <Link href="/invoices/new">create an invoice</Link>.
          </p>
        </Empty>
      )}
      {data?.now.map(({ currency }) => (
        <CurrencyCard key={currency} currency={currency} data={data} />
      ))}
      {data && (
        <section className="card" aria-labelledby="stream">
          <h2 id="stream">Recent activity</h2>
          <Stream known={data.events.nodes} />
        </section>
      )}
    </Page>
  );
}

function CurrencyCard({ currency, data }: { currency: string; data: Overview }) {
  const of = <Row extends { currency: string }>(rows: Row[]) => rows.find((row) => row.currency === currency);
  const now = of(data.now);
  const paid = [
    { label: "Paid today", value: of(data.today)?.paid },
    { label: "Paid in 7 days", value: of(data.week)?.paid },
    { label: "Paid in 30 days", value: of(data.month)?.paid },
  ];
  const points = of(data.revenue)?.points ?? [];
  if (!now) return null;
  return (
    <section className="card" aria-labelledby={`in-${currency}`}>
      <h2 id={`in-${currency}`}>{currency}</h2>
      <dl className="figures">
        <div>
          <dt>Open</dt>
          <dd>
            <Money value={now.open} />
          </dd>
        </div>
        <div className={BigInt(now.overdue.minorUnits as string) > 0n ? "is-overdue" : undefined}>
          <dt>Overdue</dt>
          <dd>
            <Money value={now.overdue} />
          </dd>
        </div>
        {paid.map(({ label, value }) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              <Money value={value ?? { amount: zeroLike(now.open.amount), currency }} />
            </dd>
          </div>
        ))}
      </dl>
      {points.length > 0 && <Chart label={`Received per day in ${currency}`} points={points} />}
      {now.overdueByAge.some(({ count }) => count > 0) && <Ageing buckets={now.overdueByAge} />}
    </section>
  );
}

function Ageing({ buckets }: { buckets: Overview["now"][number]["overdueByAge"] }) {
  return (
    <div className="scroll-x">
      <table>
        <caption className="hint">Overdue, by age</caption>
        <thead>
          <tr>
            {buckets.map(({ fromDays, toDays }) => (
              <th key={fromDays} scope="col">
                {toDays ? `${fromDays}–${toDays} days` : `${fromDays} days and more`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr>
            {buckets.map(({ fromDays, count, amount }) => (
              <td key={fromDays}>
                <Money value={amount} /> <span className="hint">{count === 1 ? "1 invoice" : `${count} invoices`}</span>
              </td>
            ))}
          </tr>
        </tbody>
      </table>
    </div>
  );
}

/** The newest events; a new one appears on top. */
function Stream({ known }: { known: EventLine[] }) {
  const [fresh, setFresh] = useState<EventLine[]>([]);
  useEffect(() => live.listen((event) => setFresh((before) => [...before, event].slice(-LINES_SHOWN))), []);
  const seen = new Set(known.map(({ id }) => id));
  const lines = [...known, ...fresh.filter(({ id }) => !seen.has(id))].slice(-LINES_SHOWN);
  return lines.length > 0 ? <Timeline events={lines} linked /> : <p className="hint">Nothing has happened yet.</p>;
}

/** The starts of today, the last 7 and the last 30 days in the user's time zone; they change at midnight. */
function useDays() {
  const [today, setToday] = useState(startOfToday);
  useEffect(() => {
    const next = setTimeout(() => setToday(startOfToday()), daysFrom(today, 1).getTime() - Date.now() + 1_000);
    return () => clearTimeout(next);
  }, [today]);
  return useMemo(
    () => ({
      today: today.toISOString(),
      week: daysFrom(today, -6).toISOString(),
      month: daysFrom(today, -29).toISOString(),
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    }),
    [today],
  );
}

function startOfToday(): Date {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate());
}

const daysFrom = (day: Date, count: number) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + count);
