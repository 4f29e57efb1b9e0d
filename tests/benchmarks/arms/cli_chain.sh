#!/bin/sh
# C: the same as bare calls of the CLI, over projects in YAML, which start no interpreter.
set -eu
value=
number=1
while [ "$number" -le "$1" ]; do
    cd "cli-s$number"
    [ -f Pulumi.dev.yaml ] || pulumi stack init dev --no-select --non-interactive >/dev/null
    pulumi up --yes --skip-preview --non-interactive --stack dev \
        ${value:+-c "upstream=$value"} >/dev/null
    value=$(pulumi stack output value --non-interactive --stack dev)
    cd ..
    number=$((number + 1))
done
echo "$value"
