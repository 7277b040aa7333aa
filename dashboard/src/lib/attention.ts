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

/** The number of things that need a person's decision. */
export const attentionCount = (attention: ResultOf<typeof AttentionCounts>): number =>
  attention.unappliedPayments +
  attention.overpaidPayments +
  attention.openDisputes +
  attention.failedPaymentLinks +
  attention.unhealthyIntegrations +
  attention.heldOrFailedWebhookEvents;
