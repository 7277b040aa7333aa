interface Attention {
  unappliedPayments: number;
  overpaidPayments: number;
  openDisputes: number;
  failedPaymentLinks: number;
  unhealthyIntegrations: number;
  heldOrFailedWebhookEvents: number;
}

/** How many things a person has to settle. */
export const attentionCount = (attention: Attention): number =>
  attention.unappliedPayments +
  attention.overpaidPayments +
  attention.openDisputes +
  attention.failedPaymentLinks +
  attention.unhealthyIntegrations +
  attention.heldOrFailedWebhookEvents;
