import { graphql, type ResultOf } from "./graphql";

/** One event, with the fields that its sentence needs. */
export const EventLine = graphql(`
  fragment EventLine on Event {
    id
    type
    cursor
    occurredAt
    actor
    note
    invoice { id number status total { amount currency } }
    payment { id amount { amount currency } }
    customer { id name }
    integration { id name }
    webhookEvent { id type status }
  }
`);

export type EventLine = ResultOf<typeof EventLine>;

export const Follow = graphql(
  `
    subscription Follow($after: String) {
      events(after: $after) { ...EventLine }
    }
  `,
  [EventLine],
);
