#!/usr/bin/env bash
# Packs a built program with its licences, shell completions and manual pages.
#   pack.sh TARGET FOLDER-OF-THE-PROGRAM
set -euo pipefail

target=$1 built=$2
program=$built/fieldsync
if [ -f "$program.exe" ]; then program=$program.exe; fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$program" LICENSE-MIT LICENSE-APACHE README.md "$folder/"
mkdir "$folder/completions" "$folder/man"
for shell in bash zsh fish powershell elvish; do
  "$program" completions "$shell" > "$folder/completions/fieldsync.$shell"
done
"$program" man --out "$folder/man"
tar -czf "fieldsync-$target.tar.gz" -C "$folder" .
echo "fieldsync-$target.tar.gz"
