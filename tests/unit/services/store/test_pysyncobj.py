import hashlib
from pathlib import Path

import pysyncobj.syncobj

KNOWN = "e8bdf06797085d734df86e24ab4802fe87893dff77268565ec036f7ad4a1cfe4"


def test_pysyncobj_is_the_very_version_whose_core_we_override() -> None:
    source = Path(pysyncobj.syncobj.__file__).read_bytes()
    assert hashlib.sha256(source).hexdigest() == KNOWN, (
        "services/store/raft/engine.py overrides parts of pysyncobj by name: read what"
        " changed there before you change this"
    )
