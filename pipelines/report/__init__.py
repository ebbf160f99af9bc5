"""What people read of a finished run: one pass over its tables, `reports/build.html`, and the files beside shards."""
