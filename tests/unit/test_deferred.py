"""What a library imports and confcar never uses is not loaded, and is there for whoever uses it."""

from __future__ import annotations

import subprocess
import sys


def _printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_a_deferred_module_is_loaded_by_its_first_use_and_whole_for_all() -> None:
    program = (
        "import sys; from confcar.deferred import defer; defer('colorsys'); import colorsys; import colorsys as again\n"
        "print('hls_to_rgb' in vars(colorsys), colorsys.hls_to_rgb(0, 0, 0), again.ONE_THIRD > 0)\n"
        "import colorsys; print('hls_to_rgb' in vars(colorsys)); from colorsys import rgb_to_hls\n"
    )
    assert _printed(program) == "False (0, 0, 0) True\nTrue"


def test_submodules_of_a_deferred_package_can_be_imported() -> None:
    program = "from confcar.deferred import defer; defer('wsgiref'); from wsgiref.util import guess_scheme"
    assert _printed(f"{program}; import wsgiref.util; print(guess_scheme({{}}))") == "http"


def test_a_module_that_is_loaded_already_stays() -> None:
    assert (
        _printed("import json; from confcar.deferred import defer; defer('json'); import json; print(json.loads('1'))")
        == "1"
    )


def test_loading_a_config_does_not_load_asyncio() -> None:
    program = "import sys, confcar.config.load; print([name for name in sys.modules if name.startswith('asyncio.')])"
    assert _printed(program) == "[]"


def test_the_version_of_a_deferred_module_is_known_without_loading_it() -> None:
    program = (
        "import sys; from confcar.deferred import defer; defer('jinja2', has_submodules=False)\n"
        "from jinja2 import __version__ as version; print(version[:2], 'jinja2.environment' in sys.modules)\n"
        "from jinja2 import Template; import jinja2.sandbox; print(Template('{{ 1 }}').render())\n"
    )
    assert _printed(program) == "3. False\n1"


def test_the_vault_client_loads_no_guessing_of_encodings_and_guessing_still_works() -> None:
    program = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "import confcar.clients.vault, confcar.clients.consul\n"
        "print([name for name in sys.modules if name.startswith('charset_normalizer.')])\n"
        "import requests; answer = requests.Response(); answer._content = b'plain'; print(answer.apparent_encoding)\n"
    )
    assert _printed(program) == "[]\nascii"
