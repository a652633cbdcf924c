"""Where the works of a grid run: on this machine, on the nodes of a Ray cluster, as jobs of SLURM."""
