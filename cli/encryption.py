"""`fluxrate generate-key` and `rotate-encryption-key`."""

from cli.output import AsJson, operated, print_json
from settings import Settings


def generate_key(as_json: AsJson = False) -> None:
    """Print a fresh encryption key for FLUXRATE_ENCRYPTION_KEYS."""
    from models import secret

    key = secret.generate_key()
    if as_json:
        print_json({"encryptionKey": key, "keyId": secret.Keyring.parse([key]).primary_id})
    else:
        print(key)


def rotate_encryption_key(as_json: AsJson = False) -> None:
    """Encrypt every stored secret with the first of FLUXRATE_ENCRYPTION_KEYS."""
    from rich.console import Console
    from rich.progress import Progress

    from models.secret import Keyring
    from resolvers import operator

    settings = Settings.from_env()
    keyring = Keyring.parse(settings.encryption_keys)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Encrypting again", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        resealed = operated(lambda: operator.reseal(keyring, on_progress), settings)
    if as_json:
        print_json({"resealed": resealed, "keyId": keyring.primary_id})
    else:
        print(
            f"{resealed} stored secret{'' if resealed == 1 else 's'} encrypted again; only the first key is needed now."
        )
