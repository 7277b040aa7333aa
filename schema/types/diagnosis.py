"""What is the matter and how to mend it."""

import strawberry

from models import diagnosis


@strawberry.type(description="What is the matter and how to mend it, in the words of the troubleshooting guide.")
class Diagnosis:
    code: str = strawberry.field(description="Stable, for programs.")
    message: str = strawberry.field(description="Why it is so, in one sentence.")
    fix: str = strawberry.field(description="What to do about it.")

    @classmethod
    def of(cls, found: diagnosis.Diagnosis) -> "Diagnosis":
        return cls(code=found.code.value, message=found.message, fix=found.fix)

    @classmethod
    def of_code(cls, code: str | None, detail: str | None = None) -> "Diagnosis | None":
        return None if code is None else cls.of(diagnosis.diagnose(code, detail))
