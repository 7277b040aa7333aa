import { graphql, type ResultOf } from "../api/graphql";

export const AttentionCounts = graphql(`
  fragment AttentionCounts on Attention {
    unappliedPayments
    overpaidPayments
    openDisputes
    failedPaymentLinks
    unhealthyIntegrations
    heldOrFailedWebhookEvents
  }
`);

/** How many things a person has to settle. */
export const attentionCount = (attention: ResultOf<typeof AttentionCounts>): number =>
  attention.unappliedPayments +
  attention.overpaidPayments +
  attention.openDisputes +
  attention.failedPaymentLinks +
  attention.unhealthyIntegrations +
  attention.heldOrFailedWebhookEvents;
