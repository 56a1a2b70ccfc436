#!/usr/bin/env bash
# Takes a chart out of a report as a file of its own:  docs/figures.sh REPORT.html CHART-ID OUT.svg
# The page draws it in a headless Chromium, as its button "Save SVG" does; ids are those of the page's figures, and a
# wrong one lists them. On a page of analyze an id can say what to choose: 'heat-map&quantity=2' (from 1, as the page
# lists them), 'angles&matrix=layers.0.mlp.up_proj&side=right'.
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: docs/figures.sh REPORT.html CHART-ID OUT.svg" >&2; exit 2; }
page=$(realpath "$1")
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
dump=$(chromium --headless --no-sandbox --disable-gpu --user-data-dir="$profile" --virtual-time-budget=5000 \
  --dump-dom "file://$page#svg=$2" 2> /dev/null)
case $dump in
  *'<pre id="svg">'*) ;;
  *'<pre id="no-such-chart">'*) 
    dump=${dump#*'<pre id="no-such-chart">'}
    echo "$1: no chart '$2'; there are: ${dump%%</pre>*}" >&2
    exit 1
    ;;
  *) echo "$1: no page with charts" >&2; exit 1 ;;
esac
dump=${dump#*'<pre id="svg">'}
printf '%s\n' "${dump%%</pre>*}" |
  sed -e 's/&lt;/</g' -e 's/&gt;/>/g' -e 's/&nbsp;/ /g' -e 's/&amp;/\&/g' -e '/^$/d' > "$3"
