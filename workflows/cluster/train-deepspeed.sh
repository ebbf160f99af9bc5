#!/usr/bin/env bash
# A stage of training by DeepSpeed's own launcher, over ssh (pdsh) from this machine; filled in by
# `curate train --launcher deepspeed`. Every host has this environment under the same path, and --out on a shared disk.
#
# DeepSpeed's launcher kills ranks on a signal and waits for nothing. To stop in order, signal a rank itself:
#   ssh HOST pkill -USR1 --oldest -f workflows.train.rank
set -uo pipefail

export PATH=<<bin>>:$PATH
export PYTHONPATH=<<project>>${PYTHONPATH:+:$PYTHONPATH}
job=<<job>>

rm -f <<failures>>/*.json
<<bin>>/deepspeed --hostfile <<hostfile>> --num_nodes <<nodes>> --num_gpus <<nproc>> --master_port 29500 \
    --module workflows.train.rank "$job"
exec <<bin>>/python -m workflows.train.outcome "$job" --asked
