#!/usr/bin/env bash
# Run the front desk's evals and say what to look at. Usage: demo.sh [folder with the assay command]
set -euo pipefail
cd "$(dirname "$0")"
PATH=${1:+$1:}$PATH
echo "A hotel front desk agent, in hermetic episodes, judged three ways."
for name in booking policy answer; do
  echo
  assay run "$name" --html "reports/$name.html" || [[ $? -eq 1 || $? -eq 3 ]]
done
echo
echo "The first failure of the last eval, with its conversation, tool calls and effects:"
echo
assay show latest
echo
echo "Open the reports in a browser:"
for name in booking policy answer; do echo "  $PWD/reports/$name.html"; done
