"""Each module of tests begins without the GL contexts that envs of other modules, not yet collected, keep warm."""

from __future__ import annotations

import gc

import pytest

from mvr_wrappers.filming.gl import release_idle
from mvr_wrappers.filming.studio import studio


@pytest.fixture(autouse=True, scope="module")
def cold_start() -> None:
    gc.collect()
    studio().submit(release_idle).result()
    release_idle()
