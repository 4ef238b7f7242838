"""Who may see what: access rules in Cedar, masking levels in TOML, and decisions that are values with a reason.

Pure inside: only `bundle.read_files` touches a disk.
"""
