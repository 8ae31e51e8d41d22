"""A wheel holds what the checkout holds. Everything else about the package stands in pyproject.toml.

setuptools copies modules into `build/` and packs all that it finds there: a module that was deleted or renamed since
the last build would come along. Each build has a directory of its own instead.
"""

import atexit
import shutil
import tempfile

from setuptools import setup
from setuptools.command.build import build


class CleanBuild(build):
    """Builds in a temporary directory."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = tempfile.mkdtemp(prefix="weltklassebot-build-")
        atexit.register(shutil.rmtree, self.build_base, ignore_errors=True)


setup(cmdclass={"build": CleanBuild})
