"""The one exception that is meant for the person in front of the screen."""


class UserError(Exception):
    """A mistake the user can mend. Its text is one sentence that says what to do.

    The command line prints it and exits with status 2; a page shows it. It is never a bug's traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it in a notebook: the sentence."""
        return [f"{type(self).__name__}: {self}"]
