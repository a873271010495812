"""The error of evidence: something that was to be proved is not so."""

__all__ = ["ProofError"]


class ProofError(Exception):
    """A named check failed on evidence that somebody else made.

    `check` is the stable name of the check (`proofs/SPEC.md` lists them), `message` what was expected and
    what came, `facts` the values that belong to it. Every module raises a subclass of its own.
    """

    def __init__(self, check: str, message: str, **facts: object) -> None:
        super().__init__(check, message)
        self.check = check
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"
