"""What `make bench` measures: each module one part of the road, all ratios taken within one run."""
