# SPDX-License-Identifier: BSD-3-Clause
"""pip install faces/python

Builds the module against libextmem: the one of the build folder that EXTMEM_BUILD names; else
the installed one, which pkg-config finds; else this source tree's own, which is configured and
built for it, and linked into the module.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

here = Path(__file__).resolve().parent
root = here.parents[1]


def version() -> str:
    text = (root / "core/extmem.h").read_text()
    return ".".join(re.findall(r"^#define EXTMEM_VERSION_\w+ (\d+)$", text, re.M))


def pkg_config(*arguments: str) -> list[str]:
    try:
        found = subprocess.run(["pkg-config", *arguments], capture_output=True, text=True)
    except OSError:
        return []
    return found.stdout.split() if found.returncode == 0 else []


class Build(build_ext):
    def build_extension(self, extension: Extension) -> None:
        folder = os.environ.get("EXTMEM_BUILD")
        if folder:
            libraries = Path(folder).resolve() / ".libs"
            if not (libraries / "libextmem.so").exists():
                raise SystemExit(f"EXTMEM_BUILD={folder}: no .libs/libextmem.so is there: "
                                 "run make in that folder first")
            extension.include_dirs += [str(root / "core")]
            extension.extra_link_args += [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lextmem"]
        elif flags := pkg_config("--cflags", "--libs", "extmem"):
            extension.extra_compile_args += [f for f in flags if f[:2] not in ("-l", "-L")]
            extension.extra_link_args += [f for f in flags if f[:2] in ("-l", "-L")]
        else:
            self.link_own(extension)
        super().build_extension(extension)

    def link_own(self, extension: Extension) -> None:
        """Builds the library's objects, and links all of them."""
        if not (root / "configure").exists():
            raise SystemExit("libextmem is not installed (pkg-config finds no extmem), and "
                             f"{root}/configure is not there: install libextmem-dev, or run "
                             "./autogen.sh in a clone first")
        folder = Path(self.build_temp).resolve() / "extmem"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run([str(root / "configure"), "-q", "--without-mpi", "--without-python"],
                       cwd=folder, check=True)
        jobs = os.cpu_count() or 1
        subprocess.run(["make", "-s", f"-j{jobs}", "libxm_whole.la"], cwd=folder, check=True)
        archive = folder / ".libs/libxm_whole.a"
        extension.include_dirs += [str(root / "core")]
        extension.extra_link_args += [
            "-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive",
            "-Wl,--exclude-libs,ALL", "-pthread", *pkg_config("--libs", "inih")]


setup(
    version=version(),
    packages=["extmem"],
    package_dir={"": os.path.relpath(here)},
    package_data={"extmem": ["py.typed", "*.pyi"]},
    ext_modules=[
        Extension(
            "extmem._extmem",
            sorted(os.path.relpath(source) for source in here.glob("*.c")),
            include_dirs=[str(root)],
            define_macros=[("_GNU_SOURCE", None)],
            extra_compile_args=["-std=gnu11", "-fvisibility=hidden"],
        )
    ],
    cmdclass={"build_ext": Build},
)
