"""What a staged generation has to pass: the formats of its files first, because they cost nothing, then the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confcar.config.bundles import CheckOptions
from confcar.log import Redactor
from confcar.model import Change, RenderedFile
from confcar.publishing.checks import check_formats, run_check


@dataclass(frozen=True, slots=True)
class Check:
    """The check of one bundle; *options* is None where it names no command."""

    options: CheckOptions | None
    environ: Mapping[str, str]
    redactor: Redactor

    def run(self, change: Change, files: Sequence[RenderedFile]) -> bool:
        """Return whether there was anything to check, and the staged generation passed it.

        Blocks for at most the command's time limit.

        Raises:
            CheckRefusedError: It did not pass.
        """
        check_formats(files)
        if self.options is not None:
            run_check(self.options, change, environ=self.environ, mask=self.redactor.mask)
        return self.options is not None or any(file.format is not None for file in files)
