"""Explains problems and their fixes, by a stable code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.reason import Reason


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A stable code, a sentence that says why, and what to do."""

    code: Reason
    message: str
    fix: str


_TEXTS: Final[Mapping[Reason, tuple[str, str]]] = {
    # Webhook events that were ignored
    Reason.EVENT_TYPE_NOT_HANDLED: (
        "Fluxrate does nothing with events of this type.",
        "Nothing to do. To receive fewer of them, select only the events listed as eventsToSend in Stripe.",
    ),
    Reason.NOTHING_PAID: (
        "The event reports no payment: a card was saved, a trial began, or an authorisation was released before any"
        " money was taken.",
        "Nothing to do.",
    ),
    Reason.NO_METADATA: (
        "The payment carries no invoice_id in its metadata and belongs to no Payment Link made by Fluxrate, so it"
        " can't be matched with an invoice.",
        "If it should pay an invoice, create its Payment Link with invoice_id in the metadata, or let Fluxrate"
        " create it. Otherwise there is nothing to do.",
    ),
    Reason.ANOTHER_WORKSPACE: (
        "The payment's workspace_id names another workspace: two workspaces share this Stripe account.",
        "Nothing to do here: that workspace receives the event too, and handles it.",
    ),
    Reason.FOREIGN_INVOICE_ID: (
        "The invoice_id in the metadata is not one of Fluxrate's: another system shares this Stripe account.",
        "Nothing to do, unless you wrote the metadata by hand: then use the invoice's id, which begins with inv_.",
    ),
    Reason.UNREADABLE_PAYLOAD: (
        "The event is signed by Stripe but can't be read: {detail}.",
        "Nothing was changed. Look the event up in the Stripe Dashboard; if it is about a payment, mark its invoice"
        " paid by hand and report the payload's shape to Fluxrate. If a later version of Fluxrate can read it, it is"
        " applied then.",
    ),
    # Money that fits no invoice
    Reason.INVOICE_NOT_FOUND: (
        "This workspace has no invoice with the invoice_id in the payment's metadata.",
        "Check the invoice_id in Stripe. If the money belongs to an invoice, apply it to that one (applyPayment);"
        " otherwise refund the payment in Stripe.",
    ),
    Reason.INVOICE_DRAFT: (
        "The invoice was still a draft when the payment came.",
        "Finalize the invoice and apply the payment to it (applyPayment), or refund the payment in Stripe.",
    ),
    Reason.INVOICE_VOID: (
        "The invoice was void when the payment came.",
        "Apply the payment to another invoice (applyPayment), or refund it in Stripe.",
    ),
    Reason.CURRENCY_MISMATCH: (
        "The payment is in another currency than the invoice.",
        "Apply it to an invoice in its currency (applyPayment), or refund the payment in Stripe and let the customer"
        " pay with the invoice's own link.",
    ),
    Reason.LIVEMODE_MISMATCH: (
        "The event's mode is not the workspace's: test events don't count in a live workspace, and live events don't"
        " count in a test workspace.",
        "In Stripe, add the webhook endpoint in the mode of this workspace.",
    ),
    Reason.METADATA_MISMATCH: (
        "The payment was made with the Payment Link of one invoice, but its metadata names another, or one that is not"
        " Fluxrate's.",
        "Find out in Stripe which invoice was meant and apply the payment to it (applyPayment), or refund it.",
    ),
    Reason.PAYMENT_UNKNOWN: (
        "The event is about a payment that is not known here: it may have come before its payment, or belong to another"
        " system that shares this Stripe account.",
        "Nothing to do: Fluxrate tries it again for three days, and applies it once the payment is known.",
    ),
    Reason.PAYMENT_UNCLEAR: (
        "The event may report money that is already counted under another of Stripe's ids, and counting it twice would"
        " mark the invoice as paid. It waits for an event that names both ids.",
        "Nothing to do: Fluxrate tries it again within seconds and counts it then.",
    ),
    # Webhook events that can't be verified
    Reason.SIGNATURE_MISSING: (
        "The delivery has no Stripe-Signature that can be read, so nothing shows that Stripe sent it.",
        "Nothing to do if Stripe did not send it. If there is a proxy in front of Fluxrate, make it pass the"
        " Stripe-Signature header and the body on unchanged.",
    ),
    Reason.SIGNATURE_MISMATCH: (
        "The Stripe-Signature header didn't match the webhook secret that is saved.",
        "Copy the Signing secret (it starts with whsec_), not the endpoint's URL, from the endpoint in Stripe that"
        " sends to exactly this URL, and save it again. The deliveries that it signed are then applied.",
    ),
    Reason.SIGNATURE_TIMESTAMP: (
        "The signature is right but was made {detail} away from this server's time, more than the 300 seconds allowed.",
        "Set this server's clock by NTP. Stripe sends the event again with a new signature.",
    ),
    # Webhook events that wait or failed
    Reason.INTEGRATION_INACTIVE: (
        "The integration was switched off when the event came. The event is stored but not applied yet.",
        "Switch the integration on again (isActive: true): waiting events are then applied in order.",
    ),
    Reason.INTERNAL_ERROR: (
        "Applying the event failed inside Fluxrate (error reference {detail}).",
        "Fluxrate and Stripe both try again. If it keeps failing, look for the reference in the server's log.",
    ),
    Reason.EVENTS_GONE: (
        "Stripe keeps its events for 30 days: those from {detail} can't be fetched any more.",
        "Compare the payments of that time in the Stripe Dashboard with the invoices, and mark the paid invoices as"
        " paid by hand.",
    ),
    # Integrations
    Reason.WEBHOOK_SECRET_MISSING: (
        "No webhook secret is saved, so nothing that Stripe sends can be verified.",
        "In Stripe → Developers → Webhooks add an endpoint with the integration's webhookUrl and its eventsToSend,"
        " copy the Signing secret (whsec_…) and save it on the integration; or let Fluxrate do all this"
        " (repairStripeIntegration)."
        " Deliveries that came meanwhile are stored, and applied then.",
    ),
    Reason.PUBLIC_URL_LOCAL: (
        "The webhookUrl begins with {detail}, which only this machine can reach, so Stripe can't post to it.",
        "Set FLUXRATE_PUBLIC_URL to the https URL under which this server can be reached. On your own machine forward"
        " with the Stripe CLI (stripe listen --forward-to the webhookUrl) and save the secret (whsec_…) that it prints."
        " Until then Fluxrate asks Stripe, and finds payments within half a minute. The simulator needs none of this.",
    ),
    Reason.NO_EVENT_YET: (
        "The webhook secret is saved, but Stripe has not sent a verified event yet.",
        "Check that the endpoint's URL in Stripe is exactly the webhookUrl shown here, that its events are selected,"
        " and pay an invoice or send a test event. checkStripeIntegration checks the endpoint for you.",
    ),
    Reason.SIGNATURES_FAILING: (
        "The Stripe-Signature of the latest deliveries does not match the saved webhook secret: {detail}.",
        "Copy the Signing secret (whsec_…, not the endpoint's URL or id) of exactly this endpoint from Stripe, save it"
        " again, and make sure that Stripe sends to the exact URL shown here; or let Fluxrate replace the endpoint by"
        " one whose secret it knows (repairStripeIntegration).",
    ),
    Reason.INTEGRATION_OFF: (
        "The integration is switched off: deliveries are stored, not applied.",
        "Switch it on again (isActive: true).",
    ),
    # An integration's endpoint at Stripe
    Reason.ENDPOINT_MISSING: (
        "Stripe has no webhook endpoint with this integration's URL, so no event can arrive.",
        "In Stripe → Developers → Webhooks add an endpoint with exactly the webhookUrl shown here and its"
        " eventsToSend, and save its signing secret; or let Fluxrate add it (repairStripeIntegration).",
    ),
    Reason.ENDPOINT_DISABLED: (
        "The webhook endpoint is disabled in Stripe, so no event arrives.",
        "Enable it in Stripe → Developers → Webhooks, or let Fluxrate enable it (repairStripeIntegration). Then fetch"
        " the missed events (syncStripeEvents).",
    ),
    Reason.ENDPOINT_OTHER_URL: (
        "A webhook endpoint in Stripe was meant for this integration but posts to another URL: {detail}.",
        "In Stripe → Developers → Webhooks set its URL to exactly the webhookUrl shown here (scheme, host, no slash or"
        " query at its end), or let Fluxrate do this (repairStripeIntegration). If the webhookUrl is wrong, fix"
        " FLUXRATE_PUBLIC_URL.",
    ),
    Reason.ENDPOINT_DUPLICATED: (
        "{detail} enabled webhook endpoints in Stripe post to this integration's URL, each with a signing secret of its"
        " own. Only deliveries that are signed with the saved secret can be verified.",
        "Delete all endpoints but the one whose signing secret is saved here, or let Fluxrate replace them all by a new"
        " one (repairStripeIntegration).",
    ),
    Reason.ENDPOINT_EVENTS_MISSING: (
        "The webhook endpoint is not subscribed to all events that mark invoices as paid: it lacks {detail}.",
        "In Stripe → Developers → Webhooks select them for the endpoint, or let Fluxrate add them"
        " (repairStripeIntegration). Then fetch the missed events (syncStripeEvents).",
    ),
    Reason.ENDPOINT_EVENTS_RECOMMENDED: (
        "The webhook endpoint is subscribed to all events that mark invoices as paid, but not to these: {detail}.",
        "If any of this happens in your account, select the events in Stripe → Developers → Webhooks, or let Fluxrate"
        " add them (repairStripeIntegration). Otherwise leave it as it is.",
    ),
    Reason.ENDPOINT_API_VERSION_OLD: (
        "The webhook endpoint is pinned to Stripe's API version {detail}; payloads older than 2020-08-27 are not read.",
        "Stripe can't change an endpoint's version: add another one with a newer version and save its signing secret,"
        " or let Fluxrate replace it (repairStripeIntegration).",
    ),
    Reason.ENDPOINT_OTHER_MODE: (
        "Events of the other mode arrive here: the webhook endpoint was added in Stripe's test mode for a live"
        " workspace, or the reverse. They don't count.",
        "In Stripe switch to the mode of this workspace, add the endpoint there and save its signing secret; delete the"
        " one in the other mode.",
    ),
    Reason.EVENTS_NOT_ARRIVING: (
        "Stripe has events for this integration that are minutes old, and none has arrived since.",
        "Check that the endpoint's URL in Stripe is exactly the webhookUrl shown here and can be reached from the"
        " internet; the endpoint's page in Stripe shows the response to each delivery. Nothing is lost: fetch the"
        " missed events (syncStripeEvents).",
    ),
    Reason.EVENTS_UNREADABLE: (
        "{detail} verified webhook events may be about money but can't be read.",
        "Look at them (webhookEvents with the status UNAPPLIED): each says what can't be read. See in the Stripe"
        " Dashboard what was paid, mark those invoices as paid by hand (markInvoicePaid), and report the payloads'"
        " shape to Fluxrate. A later version that can read these events applies them.",
    ),
    Reason.CLOCK_SKEW: (
        "This server's clock is {detail} Stripe's; if they differ by more than 5 minutes, signatures are refused.",
        "Set this server's clock by NTP. Stripe sends refused deliveries again.",
    ),
    Reason.STRIPE_NOT_ASKED: (
        "Stripe could not be asked at the latest check: {detail}",
        "Check again in a moment (checkStripeIntegration). If it keeps failing, check the server's connection to"
        " Stripe.",
    ),
    # Secret keys and payment links
    Reason.KEY_REJECTED: (
        "Stripe refused the secret key: {detail}",
        "Create a new secret key in Stripe → Developers → API keys and save it on the integration.",
    ),
    Reason.KEY_NOT_PERMITTED: (
        "The restricted key lacks a permission: {detail}",
        "In Stripe → Developers → API keys give the key this permission (at least write access to Payment Links), or"
        " use a secret key (sk_…).",
    ),
    Reason.KEY_LACKS_OPTIONAL_PERMISSION: (
        "The restricted key works, but lacks permissions that help when something goes wrong: {detail}.",
        "In Stripe → Developers → API keys give the key these permissions, or leave it as it is: payments are recorded"
        " without them.",
    ),
    Reason.STRIPE_UNREACHABLE: (
        "Stripe could not be reached, so the Payment Link is not made yet: {detail}",
        "Nothing to do: Fluxrate keeps trying. If it keeps failing, check the server's connection to Stripe; if"
        " FLUXRATE_STRIPE_API_BASE is set, check that the server that it names is running.",
    ),
    Reason.STRIPE_BUSY: (
        "Stripe could not make the Payment Link right now: {detail}",
        "Nothing to do: Fluxrate keeps trying.",
    ),
    Reason.STRIPE_REFUSED: (
        "Stripe refused to make the Payment Link: {detail}",
        "Fix what Stripe names and create the Payment Link again (createPaymentLink); if it is the invoice itself,"
        " void it and create another one.",
    ),
    Reason.INTEGRATION_UNUSABLE: (
        "The integration that should make the Payment Link is disconnected or switched off.",
        "Switch it on again, or connect Stripe again and create the Payment Link with the new integration"
        " (createPaymentLink).",
    ),
}


_WITHOUT_DETAIL: Final = {Reason.SIGNATURES_FAILING: "checkStripeIntegration says which secret it is, where it can"}
"""The text to use while no check has found the detail."""


def diagnose(code: str, detail: str | None = None) -> Diagnosis:
    """Explain a code. `detail` completes the sentence where the code has one.

    Raises:
        ValueError: No Reason has this code.
    """
    reason = Reason(code)
    message, fix = _TEXTS[reason]
    return Diagnosis(reason, message.format(detail=detail or _WITHOUT_DETAIL.get(reason, "no details were given")), fix)
