# shellcheck shell=sh
# Sourced by ./run and ./test, which set $here: the folder of the checkout.
# The environment is $here/.venv. A lock that is installed in it stands there as a copy, so that "is it up to
# date" is one comparison; no copy means half made, and it is made anew.

venv=${here:?}/.venv

say() {
    printf 'nutwizard: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 2
}

is_root() {
    [ "$(id -u)" = 0 ]
}

# environment LOCK: makes .venv hold .ci/LOCK; quick and silent when it does.
environment() {
    holds "$1" && return
    python=$(find_python) || exit
    (umask 022 && mkdir -p "$venv" 2>/dev/null)
    [ -w "$venv" ] || die "$(not_ours)"
    make_environment "$1" 9<"$venv" || exit
}

holds() {
    [ -x "$venv/bin/python" ] && cmp -s "$here/.ci/$1" "$venv/$1"
}

not_ours() {
    if [ -d "$venv" ]; then
        echo "$venv is not up to date and belongs to $(stat -c %U "$venv"): start this once as that user" \
            "(root: sudo $here/run --version), or remove the folder."
    else
        echo "$here belongs to $(stat -c %U "$here") and .venv cannot be made there: start this once as that" \
            "user (root: sudo $here/run --version), or use a checkout of your own."
    fi
}

# Prints the interpreter by its full name (/usr/bin/python3.11): when the system moves on to another Python, the
# links of .venv break instead of leading to one that does not see its packages.
find_python() {
    found=$(PATH=${callers_path:-$PATH} command -v python3) ||
        die "Python 3.11 or newer is needed, and there is no python3."
    python=$(interpreter "$found") || die "Python 3.11 or newer is needed, and python3 is ${python:-broken}."
    # What root makes must work for others: no interpreter from root's own folders when the system has one.
    case $(id -u):$python in
        0:/usr/*) ;;
        0:*) python=$(interpreter /usr/bin/python3 2>/dev/null) || python=$(interpreter "$found") ;;
    esac
    has_venv "$python" || get_venv "$python"
    echo "$python"
}

interpreter() {
    "$1" -I -c '
import os, sys
new = sys.version_info >= (3, 11)
print(os.path.realpath(sys.executable) if new else "%d.%d" % sys.version_info[:2])
sys.exit(not new)'
}

has_venv() {
    "$1" -I -c 'import ensurepip, venv' 2>/dev/null
}

get_venv() {
    is_root || die "Debian's package python3-venv is missing; install it with: sudo apt-get install python3-venv"
    install_packages python3-venv
    has_venv "$1" || die "$1 still has no ensurepip; install it with: apt-get install python3-venv"
}

# install_packages PACKAGE...: Debian packages, as root; silent unless it fails. The lists are fetched only when the
# packages are not to be had without. A source that fails there (say, a missing subscription) is no reason to stop.
install_packages() {
    say "installing $*"
    apt_get install -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt_get update >/dev/null 2>&1 || :
    output=$(apt_get install -y --no-install-recommends "$@" 2>&1) || die "apt-get install $* failed:
$output"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive timeout --foreground 900 apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# make_environment LOCK: one at a time (what is locked is the folder itself, on descriptor 9). A subshell: its umask,
# its variables and its exit are its own.
make_environment() (
    umask 022
    unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT
    if command -v flock >/dev/null; then
        flock -n 9 || {
            say "waiting for another start that prepares $venv"
            flock -w 900 9 || die "$venv is still being prepared by another start."
        }
    fi
    holds "$1" && return
    say "preparing $venv (once, up to a minute)"
    # What root makes in another's checkout is the other's, to renew and to remove, even when it is half made.
    trap 'is_root && chown -hR --reference="$here" "$venv"' EXIT
    trap 'exit 130' HUP INT TERM
    if [ -x "$venv/bin/python" ] && [ -e "$venv/run-time.lock" ]; then
        rm -f "$venv/run-time.lock" "$venv/development.lock"
    else
        "$python" -I -m venv --clear "$venv" >&2 || die "python3 -m venv failed."
    fi
    timeout --foreground 900 "$venv/bin/python" -I -m pip install -qq --no-input --disable-pip-version-check \
        --no-deps --require-hashes --requirement "$here/.ci/$1" >&2 ||
        die "the packages of .ci/$1 could not be installed (the next start tries again)."
    # The checkout itself, by a path that still holds when the checkout is moved.
    for site in "$venv"/lib/python3.*/site-packages; do
        echo ../../../.. >"$site/nutwizard-checkout.pth"
    done
    # The development lock contains the run-time lock; that one is the mark that all is whole, so it comes last.
    [ "$1" = run-time.lock ] || cp -p "$here/.ci/$1" "$venv/$1"
    cp -p "$here/.ci/run-time.lock" "$venv/new.lock" && mv "$venv/new.lock" "$venv/run-time.lock"
)
