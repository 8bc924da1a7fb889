"""Builds the simulator's programs, for who runs them."""
import os
import shutil
import subprocess


def build(source, folder, sanitize=False, target="weir-sim", compiler=None):
    """(the program's path, None), or (None, an error's text) where it does not compile."""
    if not (folder / "build.ninja").exists():
        shutil.rmtree(folder, ignore_errors=True)
        options = ["-Dsim=true", "-Ddasserts=true", "-Dbuildtype=debugoptimized"]
        options += ["-Db_sanitize=address,undefined", "-Db_lundef=false"] if sanitize else []
        environment = os.environ | ({"CC": compiler} if compiler else {})
        subprocess.run(["meson", "setup", folder, source, *options], check=True, stdout=subprocess.DEVNULL,
                       env=environment)
    made = subprocess.run(["ninja", "-C", folder, "--quiet", f"tests/sim/{target}"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return (folder / "tests/sim" / target, None) if made.returncode == 0 else (None, made.stdout)
