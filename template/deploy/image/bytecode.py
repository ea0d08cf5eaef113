"""Compile what the service loads of the standard library: `bytecode.py TARGET MODULE...`.

Base images come without the standard library's bytecode, and a read-only container can't keep what
it compiles: each start would compile again, for a third of the time that it takes.

The bytecode is bound to its source by a hash. Where the image's library differs from the builder's,
by a security fix for example, it is ignored. Kept by the template.
"""

import importlib
import py_compile
import sys
import sysconfig
from pathlib import Path

target, *names = sys.argv[1:]
for name in names:
    importlib.import_module(name)

library = Path(sysconfig.get_path("stdlib")).resolve()
for module in list(sys.modules.values()):
    source, cached = getattr(module, "__file__", None), getattr(module, "__cached__", None)
    if not (source and cached and Path(source).resolve().is_relative_to(library)):
        continue
    if "site-packages" not in source:
        py_compile.compile(
            source,
            cfile=str(Path(target) / Path(cached).relative_to("/")),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
        )
