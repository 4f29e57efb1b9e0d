#!/bin/sh
# D: Terragrunt over the units below: `$1` is how it is told to take all of them, `$2` what it
# drives, `$3` how many at once, `$4` the work.
set -u
# Its settings were TERRAGRUNT_ until the command line was redesigned, and are TG_ since.
export TERRAGRUNT_TFPATH="$2" TG_TF_PATH="$2"
export TERRAGRUNT_PARALLELISM="$3" TG_PARALLELISM="$3"
export TERRAGRUNT_NON_INTERACTIVE=true TG_NON_INTERACTIVE=true TG_TF_FORWARD_STDOUT=true
export TF_CLI_ARGS_apply=-no-color
cd units || exit
# Not quoted: it may be two words.
all() { terragrunt $1 "$2" >>../said; }
outputs() { sed -n 's/^value = "\(.*\)"$/\1/p' ../said; }
case $4 in
chain) all "$1" apply && outputs | tail -n 1 ;;
wide) all "$1" apply && outputs | sort -u | wc -l ;;
broken) all "$1" apply || { all "$1" destroy && echo "$(outputs | wc -l) DESTROYED"; } ;;
esac
