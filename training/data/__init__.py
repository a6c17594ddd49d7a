"""What a run reads: facts about files, the shards of them, and batches of rows."""
