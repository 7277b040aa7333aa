"""A problem and its fix."""

import strawberry

from models import diagnosis


@strawberry.type(description="A problem and its fix. The troubleshooting guide explains every code.")
class Diagnosis:
    code: str = strawberry.field(
        description="A code for programs. The code stays the same in later versions of Fluxrate."
    )
    message: str = strawberry.field(description="What the problem is, in one sentence.")
    fix: str = strawberry.field(description="What to do about the problem.")

    @classmethod
    def of(cls, found: diagnosis.Diagnosis) -> "Diagnosis":
        return cls(code=found.code.value, message=found.message, fix=found.fix)

    @classmethod
    def of_code(cls, code: str | None, detail: str | None = None) -> "Diagnosis | None":
        return None if code is None else cls.of(diagnosis.diagnose(code, detail))
