#!/usr/bin/env bash
# Layout, style and line lengths of all sources:  tools/check.sh   (./build.sh check; how to mend them: docs/adding.md)
# All checks run, whichever fails; the exit code is the number of those that did.
set -uo pipefail
cd "$(dirname "$0")/.."
web=src/Spectral.Cli/Reports/web
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

check() { # check TITLE COMMAND...: one line with its time, and what it printed if it fails
  local title=$1 started=$SECONDS
  shift
  printf '== %-46s' "check of $title"
  if "$@" > "$log" 2>&1; then
    printf '%5d s\n' $((SECONDS - started))
  else
    printf 'failed\n'
    cat "$log"
    failed=$((failed + 1))
  fi
}

csharp_layout() { dotnet tool restore > /dev/null && dotnet csharpier check .; }
# The analyzers, those of style included, are run by a build, whose errors their findings are; build.sh builds without.
csharp_style() { dotnet build Kernels.sln -c Release -v quiet -clp:NoSummary; }
# No project holds these programs; each is built by itself.
sample_programs() {
  local file
  for file in samples/*.cs; do dotnet build "$file" -v quiet || return 1; done
}
native_layout() {
  git ls-files -z '*.cu' '*.cuh' '*.cpp' '*.h' '*.c' | xargs -0 clang-format --dry-run -Werror
}
web_layout() {
  [ -x "$web/node_modules/.bin/prettier" ] || (cd "$web" && npm ci --no-progress)
  "$web/node_modules/.bin/prettier" --check "$web" tools
}

export Configuration=Release # so that the sample programs use the projects of the build before them
check "C# layout (CSharpier)" csharp_layout
check "C# style and analyzers (dotnet build)" csharp_style
check "sample programs (dotnet build)" sample_programs
check "CUDA and C++ layout (clang-format)" native_layout
check "TypeScript layout (Prettier)" web_layout
check "line lengths" node tools/line-lengths.mjs
[ "$failed" -eq 0 ] || printf '== %d checks failed\n' "$failed"
exit "$failed"
