"""Problems name the API's fields and mutations; the dashboard shows what it calls them itself."""

import re
from pathlib import Path
from typing import Final

from models.diagnosis import diagnose
from models.reason import Reason

WORDING: Final = Path(__file__).resolve().parents[2] / "dashboard" / "src" / "lib" / "wording.ts"


def test_every_name_of_the_api_in_a_problem_has_a_word_in_the_dashboard() -> None:
    texts = [text for reason in Reason for told in [diagnose(reason)] for text in (told.message, told.fix)]
    named = {name for text in texts for name in re.findall(r"\b[a-z]+(?:[A-Z][a-z]+)+\b", text)}
    known = set(re.findall(r"^  \"?(\w+)(?:: true\")?:", WORDING.read_text(), re.MULTILINE))

    assert {"repairStripeIntegration", "webhookUrl", "isActive"} <= named
    assert named - known == set()
