"""Problems: refusals that a client can fix, one type per class of error, as members of the mutations' unions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import strawberry

import errors
from models.kinds import InvoiceStatus


@strawberry.interface(description="A refusal of a change. The client can fix the cause of the refusal.")
class Problem:
    code: str = strawberry.field(
        description="A code for programs. The code stays the same in later versions of Fluxrate."
    )
    message: str = strawberry.field(description="Why the change was refused and what to do about it, in one sentence.")
    path: list[str] | None = strawberry.field(
        description="The path of the input that caused the refusal, beginning with the argument's name."
    )

    @classmethod
    def of(cls, refusal: errors.RefusalError) -> Self:
        return cls(code=refusal.code, message=refusal.message, path=refusal.path, **cls.more(refusal))

    @classmethod
    def more(cls, refusal: Any) -> dict[str, Any]:  # noqa: ARG003 - those that say more read it
        """Return the fields that only this problem has."""
        return {}


@strawberry.type(description="The input has a value that isn't valid.")
class InvalidInput(Problem):
    pass


@strawberry.type(description="The workspace has no object with the given id.")
class NotFound(Problem):
    pass


@strawberry.type(description="The change conflicts with the present state of the workspace.")
class Conflict(Problem):
    pass


@strawberry.type(description="The invoice can't go from its current status to the requested status.")
class InvalidTransition(Problem):
    from_: InvoiceStatus = strawberry.field(name="from", description="The invoice's current status.")
    to: InvoiceStatus = strawberry.field(description="The status that the change would lead to.")

    @classmethod
    def more(cls, refusal: Any) -> dict[str, Any]:
        return {"from_": InvoiceStatus(refusal.from_status), "to": InvoiceStatus(refusal.to_status)}


@strawberry.type(
    description=(
        "The mode of the secret key is not the mode of the workspace. A live workspace accepts"
        " only live keys, and a test workspace accepts only test keys."
    )
)
class ModeMismatch(Problem):
    pass


@strawberry.type(description="Stripe refused a request that the change needs.")
class StripeRefused(Problem):
    stripe_code: str | None = strawberry.field(description="Stripe's code for the refusal.")
    request_id: str | None = strawberry.field(
        description="The id that Stripe gave the request, for questions to Stripe's support."
    )

    @classmethod
    def more(cls, refusal: Any) -> dict[str, Any]:
        return {"stripe_code": refusal.stripe_code, "request_id": refusal.request_id}


def result_of(mutation: str) -> Any:
    """Declare the union of a mutation's results."""
    return strawberry.union(f"{mutation[0].upper()}{mutation[1:]}Result", description=f"The result of `{mutation}`.")


@dataclass(frozen=True, slots=True)
class ProblemHandler:
    """Returns the problem for an error, if the field's union has it; see strawberry.ExceptionHandler."""

    exception_type: type[errors.RefusalError]
    error_type: type[Problem]

    def handle(self, exception: errors.RefusalError, *, field: object, info: object) -> Problem:  # noqa: ARG002
        return self.error_type.of(exception)


HANDLERS: Final[Sequence[Any]] = (
    ProblemHandler(errors.InvalidInputError, InvalidInput),
    ProblemHandler(errors.NotFoundError, NotFound),
    ProblemHandler(errors.ConflictError, Conflict),
    ProblemHandler(errors.InvalidTransitionError, InvalidTransition),
    ProblemHandler(errors.ModeMismatchError, ModeMismatch),
    ProblemHandler(errors.StripeRefusedError, StripeRefused),
)
