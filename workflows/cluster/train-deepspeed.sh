#!/usr/bin/env bash
# A stage of training by DeepSpeed's own launcher, over ssh (pdsh) from this machine; filled in by
# `curate train --launcher deepspeed`. Every host has this environment under the same path, and --out on a shared disk.
#
# DeepSpeed's launcher kills the ranks when it gets a signal. To stop in order, send USR1 to one rank itself:
# OUT/failures/0.json names process and host of the first.
set -uo pipefail

export PATH=<<bin>>:$PATH
export PYTHONPATH=<<project>>${PYTHONPATH:+:$PYTHONPATH}
job=<<job>>

rm -f <<failures>>/*.json
<<bin>>/deepspeed --hostfile <<hostfile>> --num_nodes <<nodes>> --num_gpus <<nproc>> \
    --master_addr <<head>> --master_port 29500 --no_ssh_check \
    --module workflows.train.rank "$job"
exec <<bin>>/python -m workflows.train.outcome "$job"
