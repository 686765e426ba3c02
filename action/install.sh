#!/usr/bin/env bash
# Downloads a released `fieldsync` for this machine, holds it against its checksum, and prints the folder that it is in.
#   install.sh VERSION FOLDER
# FIELDSYNC_RELEASES names another place than GitHub, with the same files below it.
set -euo pipefail

version=${1#v} folder=$2
releases=${FIELDSYNC_RELEASES:-https://github.com/fieldsync/fieldsync/releases/download}

fail() { echo "error: $*" >&2; exit 2; }

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) target=x86_64-unknown-linux-musl ;;
  Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
  Darwin-arm64) target=aarch64-apple-darwin ;;
  Darwin-x86_64) target=x86_64-apple-darwin ;;
  MINGW*-x86_64 | MSYS*-x86_64 | CYGWIN*-x86_64) target=x86_64-pc-windows-msvc ;;
  *) fail "there is no release for $(uname -s) on $(uname -m); build it: cargo build --release" ;;
esac
archive=fieldsync-$target.tar.gz

mkdir -p "$folder"
cd "$folder"
for file in "$archive" SHA256SUMS; do
  curl --fail --location --silent --show-error --retry 3 --output "$file" "$releases/v$version/$file" ||
    fail "$releases/v$version/$file cannot be had; is $version a released version?"
done
grep -E "^[0-9a-f]{64} [ *]$archive\$" SHA256SUMS > "$archive.sha256" || fail "SHA256SUMS does not list $archive"
if command -v sha256sum > /dev/null; then
  sha256sum --check --status "$archive.sha256" || fail "$archive is not what SHA256SUMS says; nothing was unpacked"
else
  shasum -a 256 --check --status "$archive.sha256" || fail "$archive is not what SHA256SUMS says; nothing was unpacked"
fi
tar -xzf "$archive"
pwd
