#!/bin/bash
#SBATCH --job-name=triptych
#SBATCH --array=1-8
#SBATCH --gpus=1
#SBATCH --requeue
#SBATCH --output=batch-%A-%a.log

# One task a shard. A task that was killed is queued again, and makes only what is missing.
set -eu
triptych batch "${REQUESTS:-requests.jsonl}" --out "${OUT:-made}" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
