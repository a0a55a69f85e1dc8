"""Where a job runs. Enters: the shards of a job. Leaves: finished shards, on this machine or Ray."""
