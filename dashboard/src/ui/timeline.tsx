import { Link } from "wouter";
import type { EventLine } from "../api/event";
import { addressOf, sentenceOf } from "../lib/sentence";
import { Time } from "./values";

/** Events and their actors, newest first. */
export function Timeline({ events, linked = false }: { events: EventLine[]; linked?: boolean }) {
  return (
    <ol className="timeline">
      {[...events].reverse().map((event) => (
        <li key={event.id} className={`moment moment-${event.type}`}>
          <Sentence event={event} linked={linked} />
          {event.note && <q className="note">{event.note}</q>}
          <span className="hint">
            <Time at={event.occurredAt} ago /> by {actorOf(event.actor)}
          </span>
        </li>
      ))}
    </ol>
  );
}

function Sentence({ event, linked }: { event: EventLine; linked: boolean }) {
  const address = linked ? addressOf(event) : null;
  return address ? <Link href={address}>{sentenceOf(event)}</Link> : <span>{sentenceOf(event)}</span>;
}

const ACTORS: Record<string, string> = { stripe: "Stripe", system: "Fluxrate" };
const actorOf = (actor: string): string => ACTORS[actor] ?? "an API key";
