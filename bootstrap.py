"""From a fresh clone to a finished run with nothing but Python.

    python3 bootstrap.py demo | demo-securetrain | test | build | clean

Standard library only, because it runs before anything is installed. It makes `.venv`, installs the project into it
(pip brings cmake and ninja where the system has none), builds the stand-alone programs `mpc/bin/*`, and repeats that
only when what it was made from has changed: a digest of the build recipe and the C++ sources lies beside the
environment. The syntax is kept to what an old Python can parse, so that it can say that it is too old.
"""

import ast
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

if sys.version_info < (3, 10):  # noqa: UP036  (this file runs before the project's own version is known to hold)
    sys.exit(
        "CaPC needs Python 3.10 or newer, and this is Python %d.%d (%s): install a newer one and run "  # noqa: UP031
        "`make PYTHON=python3.12 demo`." % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
NATIVE = ROOT / "build" / "mpc"
SANITIZERS = ("address,undefined", "thread")
TRIED_TORCH = "torch==2.13.0+cpu"  # with which the tests were run; only wheels without CUDA bear this mark
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
SOURCE_SUFFIXES = {".cpp", ".hpp", ".cc", ".h", ".inc", ".cmake"}


def main(arguments: "list[str]") -> int:
    commands = {
        "build": lambda: None, "demo": run_demo, "demo-securetrain": run_encrypted_training, "test": run_tests,
        "clean": clean,
    }  # fmt: skip
    name = arguments[0] if arguments else "demo"
    if name not in commands:
        print(f"bootstrap.py: expected one of {', '.join(commands)}, found {name!r}.", file=sys.stderr)
        return 2
    if name != "clean":
        install(with_tests=name == "test")
        build_native()
    commands[name]()
    return 0


# -- what the machine must bring -------------------------------------------------------------------------------------


def find_compiler() -> str:
    """The C++ compiler's path, after it has compiled a line of C++17; ends the program with what to install."""
    candidates = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    for candidate in candidates:
        path = shutil.which(candidate.split()[0]) if candidate else None
        if path and _compiles_cpp17(path):
            return path
    if sys.platform == "darwin":
        remedy = "xcode-select --install"
    elif shutil.which("apt-get"):
        remedy = "sudo apt-get install g++"
    elif shutil.which("dnf"):
        remedy = "sudo dnf install gcc-c++"
    elif shutil.which("pacman"):
        remedy = "sudo pacman -S gcc"
    elif shutil.which("apk"):
        remedy = "sudo apk add g++"
    else:
        remedy = "install g++ 9 or newer, or clang 10 or newer"
    return stop(f"CaPC builds a C++17 extension and found no compiler for it: {remedy}")


def _compiles_cpp17(compiler: str) -> bool:
    program = "#include <optional>\nint main() { if (std::optional<int> a = 0; a) return *a; return 1; }\n"
    return _compiles(compiler, program, "-c")


def _compiles(compiler: str, program: str, *options: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.cpp"
        source.write_text(program)
        command = [compiler, "-std=c++17", *options, str(source), "-o", str(Path(folder) / "probe")]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def check_python_parts() -> None:
    """Some distributions split Python's headers and `venv` off into packages of their own."""
    version = "%d.%d" % sys.version_info[:2]  # noqa: UP031
    missing = []
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        missing.append(("the Python headers", f"python{version}-dev", "python3-devel"))
    try:
        import ensurepip  # noqa: F401, PLC0415  (only whether it is there)
    except ImportError:
        missing.append(("Python's venv module", f"python{version}-venv", "python3"))
    if missing:
        what = " and ".join(part[0] for part in missing)
        if shutil.which("dnf"):
            remedy = "sudo dnf install " + " ".join(part[2] for part in missing)
        else:
            remedy = "sudo apt-get install " + " ".join(part[1] for part in missing)
        stop(f"CaPC needs {what}, and {sys.executable} came without: {remedy}")


# -- the environment and the native programs -------------------------------------------------------------------------


def install(with_tests: bool) -> None:
    """Make `.venv` and install the project into it, editable, unless nothing has changed since the last time."""
    wanted = f"{sources_digest()} {ROOT} {'test' if with_tests else 'run'}"  # an environment cannot be moved
    stamp = ENVIRONMENT / "installed-from"
    found = stamp.read_text() if stamp.is_file() and PYTHON.exists() else ""
    if found == wanted or found == wanted.replace(" run", " test"):
        return
    compiler = find_compiler()
    check_python_parts()
    if not PYTHON.exists():
        say("making .venv")
        execute([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
    say("installing CaPC and what it needs into .venv (the first time takes a few minutes)")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    tools = requirements("requires") + [tool for tool in ("cmake>=3.26", "ninja") if not shutil.which(bare_name(tool))]
    execute([*pip, *tools], CXX=compiler)
    install_torch(pip)
    extras = "train,test" if with_tests else "train"  # the demo's parties train with torch
    execute([*pip, "--no-build-isolation", "--editable", f"{ROOT}[{extras}]"], CXX=compiler)
    stamp.write_text(wanted)


def install_torch(pip: "list[str]") -> None:
    """Install torch without CUDA, whose gigabytes PyPI's wheel for Linux brings along; leave one that is there alone.

    A wheel without CUDA where pip looks anyhow comes first, then torch's own index. Where neither has one, the
    installation that follows takes what pip finds.
    """
    if sys.platform != "linux" or has_torch():
        return
    (wanted,) = requirements("train")
    own_index = ["--index-url", CPU_WHEELS]
    for where in ([TRIED_TORCH], [wanted, *own_index]):
        command = [*pip, "--no-deps", "--only-binary", ":all:", *where]
        if succeeds(command):
            return
    say(f"found no torch without CUDA at {CPU_WHEELS}: pip takes what it finds, which may be gigabytes")


def has_torch() -> bool:
    return succeeds([str(PYTHON), "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec('torch'))"])


def build_native() -> None:
    """Build the C++ core alone: its tests and the stand-alone programs in `mpc/bin`."""
    if not (ROOT / "mpc" / "bin" / "argmax").exists():
        (NATIVE / "built-from").unlink(missing_ok=True)
    build_core("the C++ core, its tests and mpc/bin", NATIVE)


def build_core(what: str, folder: Path, *options: str, compiler: str = "", target: str = "all") -> None:
    """Build the C++ core in a folder, with the usual compiler by default, unless nothing has changed since."""
    stamp = folder / "built-from"
    wanted = sources_digest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    say("building " + what)
    configure = ["cmake", "-S", str(ROOT / "mpc"), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release", *options]
    if not (folder / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja"]
    compiler = compiler or find_compiler()
    execute(configure, quiet=True, CXX=compiler)
    build = ["cmake", "--build", str(folder), "--parallel", str(processors()), "--target", target]
    execute(build, quiet=True, CXX=compiler)
    stamp.write_text(wanted)


def sources_digest() -> str:
    """A digest of everything that the installed extension and programs are made from."""
    digest = hashlib.sha256()
    digest.update(f"{sys.version} {platform.machine()}".encode())
    sources = [
        path for path in (ROOT / "mpc").rglob("*") if path.suffix in SOURCE_SUFFIXES or path.name == "CMakeLists.txt"
    ]
    for path in [ROOT / "pyproject.toml", *sorted(sources)]:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    # An editable installation knows each module by its file, so that a new or moved file asks for another one.
    for package in ("capc", "mpc", "parties", "orchestrator"):
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0")
    return digest.hexdigest()


def requirements(key: str) -> "list[str]":
    """The list of requirements at a key of pyproject.toml, such as `requires` of `[build-system]`, or an extra's.

    Python 3.10 has no TOML reader, and a list of one line needs none.
    """
    text = (ROOT / "pyproject.toml").read_text()
    match = re.search(rf"^{key}\s*=\s*(\[.*\])$", text, re.MULTILINE)
    if match is None:
        stop(f"pyproject.toml: expected a line `{key} = [...]`, found none.")
    return ast.literal_eval(match.group(1))


def bare_name(requirement: str) -> str:
    return re.split(r"[<>=!~ \[]", requirement, maxsplit=1)[0]


# -- the commands ----------------------------------------------------------------------------------------------------


def run_demo(*arguments: str) -> None:
    """The main job on its embedded defaults, in place of this process, so that a signal reaches it and nobody else."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(str(PYTHON), [str(PYTHON), "run_protocol.py", *arguments])  # noqa: S606


def run_encrypted_training() -> None:
    """A model trained on encrypted measurements of breast cancer, by a trainer that cannot read them."""
    run_demo("--protocol", "securetrain")


def run_tests() -> None:
    """Style, types, the C++ core's own tests, plain and under sanitizers, then pytest; the first that fails ends it."""
    python = str(PYTHON)
    say("ruff")
    execute([python, "-m", "ruff", "check", "."])
    say("mypy")
    execute([python, "-m", "mypy"])
    say("ctest")
    run_ctest(NATIVE)
    for sanitizers in SANITIZERS:
        run_sanitized(sanitizers)
    say("pytest")
    workers = min(8, processors() + 1)  # one more than processors: tests of many processes wait as often as they work
    execute([python, "-m", "pytest", "-n", str(workers), "--dist", "loadfile"])


def run_ctest(folder: Path) -> None:
    execute(["ctest", "--test-dir", str(folder), "--output-on-failure", "--parallel", str(processors())])


def run_sanitized(sanitizers: str) -> None:
    """The C++ core's tests built with these sanitizers, with `address` also a few seconds of each fuzz target."""
    compiler = find_fuzzer() if "address" in sanitizers else ""
    compiler = compiler or find_compiler()
    if not _compiles(compiler, "int main() {}\n", "-fsanitize=" + sanitizers):
        say("ctest under -fsanitize=" + sanitizers + ": left out, the compiler came without these sanitizers")
        return
    folder = ROOT / "build" / "-".join([*sanitizers.split(","), Path(compiler).name])
    what = "the C++ core's tests with -fsanitize=" + sanitizers
    build_core(what, folder, "-DMPC_SANITIZE=" + sanitizers, compiler=compiler, target="checks")
    say("ctest under -fsanitize=" + sanitizers)
    run_ctest(folder)


def find_fuzzer() -> str:
    """A clang that brings libFuzzer, which finds inputs by the branches they reach; empty without one."""
    clang = shutil.which("clang++")
    program = """
        #include <cstddef>
        #include <cstdint>
        extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t*, std::size_t) { return 0; }
    """
    return clang if clang and _compiles(clang, program, "-fsanitize=fuzzer,address") else ""


def clean() -> None:
    """Remove what was built here; runs in files/ and logs/ stay."""
    for folder in (ENVIRONMENT, ROOT / "build", ROOT / "mpc" / "bin"):
        shutil.rmtree(folder, ignore_errors=True)


# -- small things ----------------------------------------------------------------------------------------------------


def succeeds(command: "list[str]") -> bool:
    return subprocess.run(command, cwd=ROOT, env=surroundings(), capture_output=True, check=False).returncode == 0


def surroundings(**variables: str) -> "dict[str, str]":
    """The environment of a command, with `.venv/bin` first on the path and none of the user's modules."""
    environment = {**os.environ, **variables}
    environment["PATH"] = f"{ENVIRONMENT / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    environment.pop("PYTHONPATH", None)
    return environment


def execute(command: "list[str]", quiet: bool = False, **variables: str) -> None:
    """Run a command in the project's folder with `.venv/bin` first on the path; a failure ends the program."""
    environment = surroundings(**variables)
    program = shutil.which(command[0], path=environment["PATH"]) or command[0]
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT if quiet else None,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        if quiet:
            print(done.stdout, file=sys.stderr)
        stop(f"`{' '.join(command)}` ended with status {done.returncode}.", done.returncode)


def processors() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def stop(sentence: str, status: int = 1):
    print(f"bootstrap.py: {sentence}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
