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

IntegrationId = Annotated[strawberry.ID, strawberry.argument(description="The integration.")]


@strawberry.input(description="A Stripe account to connect.")
class ConnectStripeInput:
    name: str = strawberry.field(description="A name for the integration.")
    secret_key: str = strawberry.field(description="The secret key (sk_…) or a restricted key (rk_…).")
    webhook_secret: str | None = fields.optional(
        "The endpoint's signing secret (whsec_…). Leave it out until the endpoint exists in Stripe."
    )
    register_webhook: bool | None = strawberry.field(
        default=False,
        description=(
            "Add the webhook endpoint in Stripe, with its URL and events, and save its signing secret. If Stripe"
            " refuses, nothing is connected."
        ),
    )
    idempotency_key: str | None = fields.idempotency_key()


@strawberry.input(description="Changes to an integration. Fields that are left out stay as they are.")
class UpdateStripeIntegrationInput:
    id: strawberry.ID = strawberry.field(description="The integration.")
    name: str | None = fields.optional("The integration's name.")
    secret_key: str | None = fields.optional("Another secret key of the same Stripe account.")
    webhook_secret: str | None = fields.optional(
        "The endpoint's signing secret (whsec_…). The previous secret still verifies deliveries for up to 24 hours."
    )
    is_active: bool | None = fields.optional(
        "false: deliveries are stored but not applied. true: the stored deliveries are applied, in order."
    )
    allow_account_change: bool | None = strawberry.field(
        default=False, description="Accept a secret key of another Stripe account."
    )


@strawberry.type(description="The Stripe account is connected.")
class ConnectStripeSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration; its `health` says what is missing.")


@strawberry.type(description="The integration is updated.")
class UpdateStripeIntegrationSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration as it is now.")
    applied_from_quarantine: int = strawberry.field(
        description="How many quarantined webhook events were verified and applied."
    )


@strawberry.type(description="The integration is removed.")
class DisconnectStripeSuccess:
    integration: StripeIntegration = strawberry.field(
        description="The integration as it is now; only its history is left."
    )


@strawberry.type(description="The integration was checked at Stripe.")
class CheckStripeIntegrationSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration as it is now.")
    problems: list[Diagnosis] = strawberry.field(
        description="The problems, most serious first; empty when all is well. `health` shows them from now on."
    )


@strawberry.type(description="The problems that Fluxrate can fix at Stripe are fixed.")
class RepairStripeIntegrationSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration; its `health` says what is left.")
    repaired: list[Diagnosis] = strawberry.field(
        description="Problems that are fixed now; empty when there was nothing to fix."
    )


@strawberry.type(description="The integration's quarantine is empty.")
class DiscardQuarantinedSuccess:
    integration: StripeIntegration = strawberry.field(description="The integration as it is now.")
    discarded: int = strawberry.field(description="How many webhook events were deleted.")


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
    @mutation(description="Connect a Stripe account. Needs ADMIN.")
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

    @mutation(description="Rename an integration, rotate its secrets, or switch it off or on. Needs ADMIN.")
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
            "Remove an integration: its secrets and its webhook URL are gone, its history stays. To switch it off for a"
            " while use `updateStripeIntegration`. Needs ADMIN."
        )
    )
    async def disconnect_stripe(self, info: Info, id: IntegrationId) -> DisconnectStripeResult:
        row = await disconnect.disconnect_stripe(info.context, id)
        return DisconnectStripeSuccess(integration=StripeIntegration.of(row))

    @mutation(
        description=(
            "Delete an integration's QUARANTINED webhook events: forgeries, or events that another endpoint signed."
            " Genuine events aren't lost: `syncStripeEvents` fetches them from Stripe. Needs ADMIN."
        )
    )
    async def discard_quarantined(self, info: Info, id: IntegrationId) -> DiscardQuarantinedResult:
        row, discarded = await quarantine.discard_quarantined(info.context, id)
        return DiscardQuarantinedSuccess(integration=StripeIntegration.of(row), discarded=discarded)

    @mutation(
        description=(
            "Check an integration at Stripe: whether the key works and has the permissions that Fluxrate needs, whether"
            " there is exactly one endpoint with the right URL and events, and whether events arrive. Needs ADMIN."
        )
    )
    async def check_stripe_integration(self, info: Info, id: IntegrationId) -> CheckStripeIntegrationResult:
        row, problems = await health.check_stripe_integration(info.context, id)
        return CheckStripeIntegrationSuccess(
            integration=StripeIntegration.of(row), problems=[Diagnosis.of(problem) for problem in problems]
        )

    @mutation(
        description=(
            "Fix an integration's webhook endpoint at Stripe: add it, enable it, correct its URL, add missing events,"
            " or replace it and save the new secret. Fluxrate checks the integration before and after; if there is no"
            " problem, nothing changes. Needs ADMIN."
        )
    )
    async def repair_stripe_integration(
        self,
        info: Info,
        id: IntegrationId,
        codes: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Fix only problems with these codes; by default every problem that Fluxrate can fix."
            ),
        ] = strawberry.UNSET,
    ) -> RepairStripeIntegrationResult:
        row, repaired = await repair.repair_stripe_integration(info.context, id, given(codes))
        return RepairStripeIntegrationSuccess(
            integration=StripeIntegration.of(row), repaired=[Diagnosis.of(problem) for problem in repaired]
        )
