#!/usr/bin/env bash
# What the Action does: fetches the program, judges, and leaves the reports. Its inputs come by the environment.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
reports=${INPUT_REPORTS:-fieldsync-report}
program=$(bash "$here/install.sh" "$INPUT_VERSION" "${RUNNER_TEMP:-/tmp}/fieldsync-$INPUT_VERSION")/fieldsync

# One argument a line, without what a shell would make of it. An empty line is none.
lines=()
read_lines() {
  lines=()
  local line
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    if [ -n "$line" ]; then lines+=("$line"); fi
  done <<< "$1"
}

arguments=(check)
judge=${INPUT_JUDGE:-}
if [ -z "$judge" ]; then
  if [ -n "${INPUT_COMMAND:-}" ]; then judge=client; else judge=server; fi
fi
case "$judge" in
  server | client) arguments+=("$judge") ;;
  none) ;;
  *) echo "error: judge is \`$judge\`; it is server, client or none" >&2; exit 2 ;;
esac

read_lines "${INPUT_URL:-}"
for url in ${lines[@]+"${lines[@]}"}; do arguments+=(--url "$url"); done
for name in serve command control accounts config baseline shard; do
  variable=INPUT_$(tr '[:lower:]' '[:upper:]' <<< "$name")
  if [ -n "${!variable:-}" ]; then arguments+=("--$name" "${!variable}"); fi
done
read_lines "${INPUT_ARGS:-}"
arguments+=(${lines[@]+"${lines[@]}"})

mkdir -p "$reports"
summary=$reports/summary.md
status=0
"$program" "${arguments[@]}" \
  --html "$reports/report.html" --jsonl "$reports/run.jsonl" --junit "$reports/junit.xml" \
  --badge "$reports/badge.svg" --markdown "$summary" --annotations github || status=$?

if [ -f "$summary" ] && [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then cat "$summary" >> "$GITHUB_STEP_SUMMARY"; fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  conformant=false
  if [ "$status" -eq 0 ]; then conformant=true; fi
  {
    echo "status=$status"
    echo "conformant=$conformant"
    echo "html=$reports/report.html"
    echo "jsonl=$reports/run.jsonl"
    echo "junit=$reports/junit.xml"
    echo "badge=$reports/badge.svg"
  } >> "$GITHUB_OUTPUT"
fi
exit "$status"
