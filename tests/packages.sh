# Debian 12's packages that weir needs, by what for; sourced by ./quickstart and ./test.

build_packages=(gcc pkg-config meson ninja-build liburing-dev librdkafka-dev libcurl4-openssl-dev libmicrohttpd-dev
    libyaml-dev libck-dev libsqlite3-dev libjansson-dev libxxhash-dev liblz4-dev libzstd-dev zlib1g-dev)
demo_packages=(sqlite3)
unit_packages=(libcmocka-dev)
fuzz_packages=(clang libclang-rt-14-dev llvm libcmocka-dev python3)   # clang 14; llvm names lines in its reports
valgrind_packages=(valgrind)
lint_packages=(python3 clang-format git)
e2e_packages=(python3 zstd lz4 openssl)
server_packages=(kcat mariadb-server mariadb-client curl unzip openjdk-17-jdk-headless maven)

# Installs those that are not there yet and says which. Nothing is started: MariaDB's package would start a server of
# its own, so a policy forbids it for the time of the installation.
install_packages() {
    local missing=() package sudo=() policy=/usr/sbin/policy-rc.d ours=0
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "needs root, or sudo, to install them" >&2; return 1; }
        sudo=(sudo)
    fi
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
        "${sudo[@]}" chmod +x "$policy"
        ours=1
    fi
    local status=0
    { "${sudo[@]}" apt-get update -qq &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null || status=1
    [ $ours = 0 ] || "${sudo[@]}" rm -f "$policy"
    [ $status = 0 ] || echo "the packages could not be installed" >&2
    return $status
}
