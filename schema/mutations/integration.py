"""Connects, changes, checks and disconnects Stripe accounts."""

from typing import Annotated

import strawberry

from resolvers.integration import connect, disconnect, health, quarantine, repair, update
from schema import fields
from schema.context import Info, given, set_or_kept
from schema.mutations.uninterrupted import mutation
from schema.problems import Conflict, InvalidInput, ModeMismatch, NotFound, StripeRefused, result_of
from schema.types.diagnosis import Diagnosis
from schema.types.integration import StripeIntegration

IntegrationId = Annotated[strawberry.ID, strawberry.argument(description="The id of the integration.")]


@strawberry.input(description="A Stripe account to connect.")
class ConnectStripeInput:
    name: str = strawberry.field(description="A name for the integration.")
    secret_key: str = strawberry.field(description="The Stripe account's secret key (sk_…) or a restricted key (rk_…).")
    webhook_secret: str | None = fields.optional(
        "The signing secret (whsec_…) of the webhook endpoint in Stripe. Leave this field out"
        " until the endpoint exists."
    )
    register_webhook: bool | None = strawberry.field(
        default=False,
        description=(
            "With `true`, Fluxrate adds the webhook endpoint in Stripe, with the right URL and"
            " events, and saves the endpoint's signing secret. If Stripe then refuses to add the"
            " endpoint, the account is not connected."
        ),
    )
    idempotency_key: str | None = fields.idempotency_key()


@strawberry.input(description="Changes to an integration. Fields that you leave out stay as they are.")
class UpdateStripeIntegrationInput:
    id: strawberry.ID = strawberry.field(description="The id of the integration.")
    name: str | None = fields.optional("The integration's name.")
    secret_key: str | None = fields.optional(
        "A new secret key (sk_…) or restricted key (rk_…). The new key must belong to the same"
        " Stripe account as the old key, unless `allowAccountChange` is true."
    )
    webhook_secret: str | None = fields.optional(
        "The new signing secret (whsec_…) of the webhook endpoint in Stripe. The previous"
        " secret still verifies deliveries for up to 24 hours."
    )
    is_active: bool | None = fields.optional(
        "`false` switches the integration off: deliveries are stored but not applied. `true`"
        " switches the integration on: the stored deliveries are applied in order, and later"
        " deliveries are applied at once."
    )
    allow_account_change: bool | None = strawberry.field(
        default=False,
        description="Whether `secretKey` may belong to a Stripe account other than the connected account.",
    )


@strawberry.type(description="The Stripe account is connected.")
class ConnectStripeSuccess:
    integration: StripeIntegration = strawberry.field(
        description=(
            "The new integration. If something is still missing, such as the webhook secret, the"
            " integration's `health` says so."
        )
    )


@strawberry.type(description="The integration is updated.")
class UpdateStripeIntegrationSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration as it is now.")
    applied_from_quarantine: int = strawberry.field(
        description="How many quarantined webhook events were verified and applied."
    )


@strawberry.type(description="The integration is removed.")
class DisconnectStripeSuccess:
    integration: StripeIntegration = strawberry.field(
        description="The integration as it is now. Only its history is left."
    )


@strawberry.type(description="The integration was checked at Stripe.")
class CheckStripeIntegrationSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration as it is now.")
    problems: list[Diagnosis] = strawberry.field(
        description=(
            "The problems that the check found, most serious first. The list is empty if there are no"
            " problems. From now on, the integration's `health` also shows these problems."
        )
    )


@strawberry.type(description="Fluxrate repaired the integration's webhook endpoint at Stripe, as far as possible.")
class RepairStripeIntegrationSuccess:
    integration: StripeIntegration = strawberry.field(
        description="The integration. Its `health` shows the problems that are left."
    )
    repaired: list[Diagnosis] = strawberry.field(
        description="The problems that were fixed. The list is empty if no problem was fixed."
    )


@strawberry.type(description="The integration's quarantine is empty.")
class DiscardQuarantinedSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration as it is now.")
    discarded: int = strawberry.field(description="How many QUARANTINED webhook events were deleted.")


ConnectStripeResult = Annotated[
    ConnectStripeSuccess | InvalidInput | ModeMismatch | StripeRefused | Conflict, result_of("connectStripe")
]
UpdateStripeIntegrationResult = Annotated[
    UpdateStripeIntegrationSuccess | NotFound | InvalidInput | ModeMismatch | StripeRefused | Conflict,
    result_of("updateStripeIntegration"),
]
DisconnectStripeResult = Annotated[DisconnectStripeSuccess | NotFound, result_of("disconnectStripe")]

DiscardQuarantinedResult = Annotated[DiscardQuarantinedSuccess | NotFound, result_of("discardQuarantined")]
CheckStripeIntegrationResult = Annotated[CheckStripeIntegrationSuccess | NotFound, result_of("checkStripeIntegration")]
RepairStripeIntegrationResult = Annotated[
    RepairStripeIntegrationSuccess | NotFound | InvalidInput | StripeRefused, result_of("repairStripeIntegration")
]


@strawberry.type
class IntegrationMutations:
    @mutation(description="Connect a Stripe account. Needs the scope ADMIN.")
    async def connect_stripe(
        self,
        info: Info,
        input: Annotated[ConnectStripeInput, strawberry.argument(description="The Stripe account.")],
    ) -> ConnectStripeResult:
        row = await connect.connect_stripe(
            info.context,
            name=input.name,
            secret_key=input.secret_key,
            webhook_secret=given(input.webhook_secret),
            register_webhook=bool(input.register_webhook),
            idempotency_key=given(input.idempotency_key),
        )
        return ConnectStripeSuccess(integration=StripeIntegration.of(row))

    @mutation(description="Rename an integration, rotate its secrets, or switch it off or on. Needs the scope ADMIN.")
    async def update_stripe_integration(
        self,
        info: Info,
        input: Annotated[UpdateStripeIntegrationInput, strawberry.argument(description="The changes.")],
    ) -> UpdateStripeIntegrationResult:
        row, applied = await update.update_stripe_integration(
            info.context,
            input.id,
            name=set_or_kept(input.name, "name"),
            secret_key=set_or_kept(input.secret_key, "secretKey"),
            webhook_secret=set_or_kept(input.webhook_secret, "webhookSecret"),
            is_active=set_or_kept(input.is_active, "isActive"),
            allow_account_change=bool(input.allow_account_change),
        )
        return UpdateStripeIntegrationSuccess(integration=StripeIntegration.of(row), applied_from_quarantine=applied)

    @mutation(
        description=(
            "Remove an integration. Its secrets are erased and its webhook URL stops working, but its"
            " history stays. To switch an integration off for a while, use `updateStripeIntegration`"
            " instead. Needs the scope ADMIN."
        )
    )
    async def disconnect_stripe(self, info: Info, id: IntegrationId) -> DisconnectStripeResult:
        row = await disconnect.disconnect_stripe(info.context, id)
        return DisconnectStripeSuccess(integration=StripeIntegration.of(row))

    @mutation(
        description=(
            "Delete an integration's QUARANTINED webhook events. Use this mutation if these events"
            " are forgeries or were signed with another endpoint's secret. If a deleted event is"
            " genuine, it is not lost, because `syncStripeEvents` fetches it from Stripe. Needs the"
            " scope ADMIN."
        )
    )
    async def discard_quarantined(self, info: Info, id: IntegrationId) -> DiscardQuarantinedResult:
        row, discarded = await quarantine.discard_quarantined(info.context, id)
        return DiscardQuarantinedSuccess(integration=StripeIntegration.of(row), discarded=discarded)

    @mutation(
        description=(
            "Check an integration at Stripe. The check tests whether the secret key works and has the"
            " permissions that Fluxrate needs. The check also tests whether there is exactly one"
            " webhook endpoint with the right URL and events, and whether events arrive. Needs the"
            " scope ADMIN."
        )
    )
    async def check_stripe_integration(self, info: Info, id: IntegrationId) -> CheckStripeIntegrationResult:
        row, problems = await health.check_stripe_integration(info.context, id)
        return CheckStripeIntegrationSuccess(
            integration=StripeIntegration.of(row), problems=[Diagnosis.of(problem) for problem in problems]
        )

    @mutation(
        description=(
            "Fix an integration's webhook endpoint at Stripe. Depending on the problem, Fluxrate adds"
            " the endpoint, enables it, corrects its URL, adds missing events, or replaces the"
            " endpoint and saves the new signing secret. Fluxrate checks the integration before and"
            " after the repair. If the first check finds no problem, nothing changes. Needs the scope"
            " ADMIN."
        )
    )
    async def repair_stripe_integration(
        self,
        info: Info,
        id: IntegrationId,
        codes: Annotated[
            list[str] | None,
            strawberry.argument(
                description="The codes of the problems to fix. By default Fluxrate fixes every problem that it can fix."
            ),
        ] = strawberry.UNSET,
    ) -> RepairStripeIntegrationResult:
        row, repaired = await repair.repair_stripe_integration(info.context, id, given(codes))
        return RepairStripeIntegrationSuccess(
            integration=StripeIntegration.of(row), repaired=[Diagnosis.of(problem) for problem in repaired]
        )
