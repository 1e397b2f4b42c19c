"""A venue under faults: killed processes, disks that fail or lie, power cuts, damaged files."""
