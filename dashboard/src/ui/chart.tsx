import { amountIn, dayIn } from "../lib/format";

interface Amount {
  amount: string;
  currency: string;
  minorUnits: unknown;
}

interface Point {
  start: string;
  received: Amount;
  refunded: Amount;
  net: { amount: string; currency: string };
}

const HEIGHT = 120;
const BAR = 10;
const STEP = 14;

/** A bar per day with the received amount, and the refunded part of it; a table has the same numbers. */
export function Chart({ label, points }: { label: string; points: Point[] }) {
  const most = points.reduce((most, point) => larger(most, units(point.received)), 1n);
  const height = (amount: Amount) => Number((units(amount) * BigInt(HEIGHT * 100)) / most) / 100;
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return null;
  const top = points.find((point) => units(point.received) === most);
  return (
    <figure className="chart">
      <figcaption className="hint">
        {label}
        {top && `, at most ${amountIn(top.received)}`}
      </figcaption>
      <svg viewBox={`0 0 ${points.length * STEP} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {points.map((point, place) => (
          <g key={point.start} transform={`translate(${place * STEP} 0)`}>
            <title>{`${dayIn(point.start)}: ${amountIn(point.received)}`}</title>
            <rect className="chart-reach" width={STEP} height={HEIGHT} />
            <rect className="chart-rest" width={BAR} y={HEIGHT - 1} height={1} />
            <Bar name="received" height={height(point.received)} />
            <Bar name="refunded" height={height(point.refunded)} />
          </g>
        ))}
      </svg>
      <div className="chart-days hint" aria-hidden="true">
        <span>{dayIn(first.start)}</span>
        <span>{dayIn(last.start)}</span>
      </div>
      <details>
        <summary>As a table</summary>
        <div className="scroll-x">
          <table>
            <thead>
              <tr>
                <th scope="col">Day</th>
                <th scope="col" className="amount">
                  Received
                </th>
                <th scope="col" className="amount">
                  Refunded
                </th>
                <th scope="col" className="amount">
                  Net
                </th>
              </tr>
            </thead>
            <tbody>
              {points.toReversed().map(({ start, received, refunded, net }) => (
                <tr key={start}>
                  <th scope="row">{dayIn(start)}</th>
                  <td className="amount">{amountIn(received)}</td>
                  <td className="amount">{amountIn(refunded)}</td>
                  <td className="amount">{amountIn(net)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

const Bar = ({ name, height }: { name: string; height: number }) => (
  <rect className={`chart-${name}`} width={BAR} y={HEIGHT - height} height={height} />
);

const units = ({ minorUnits }: Amount): bigint => BigInt(minorUnits as string);
const larger = (one: bigint, other: bigint): bigint => (one > other ? one : other);
