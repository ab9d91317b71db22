#!/usr/bin/env python3
"""npy.py - small .npy files as numpy writes them, for tests/unit/npy_test.c.

    python3 tests/goldens/npy.py   (needs numpy)

Writes tests/data/npy/: a file for each type and header version that is read, and some that are refused.
"""

import pathlib

import numpy as np
from numpy.lib import format as npy

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "npy"


def write(name, array, version=(1, 0)):
    with open(OUT / f"{name}.npy", "wb") as f:
        npy.write_array(f, array, version=version)


OUT.mkdir(parents=True, exist_ok=True)
values = np.array([[0, 1, -2.5], [0.1, 3e-5, -127]])
for name, dtype in [("f4", "<f4"), ("f2", "<f2"), ("f8", "<f8"), ("i1", "|i1")]:
    write(name, values.astype(dtype))
write("v2", values.astype("<f4"), (2, 0))
write("v3", values.astype("<f4"), (3, 0))
write("flat", values.astype("<f4").ravel())
write("none", np.zeros((0, 3), "<f4"))
write("fortran", np.asfortranarray(values.astype("<f4")))
write("big", values.astype(">f4"))
write("cube", values.astype("<f4").reshape(1, 2, 3))
write("scalar", np.float32(1))
write("struct", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
write("i8", values.astype("<i8"))
