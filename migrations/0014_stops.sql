-- What a worker says of a partition can be old: an operator has done something meanwhile, and the worker has not looked yet.

UPDATE schema_version SET current = 14;

-- Under which fence of the lease the partition was found to be stopped; it is so as long as the lease has this fence.
ALTER TABLE partition_states ADD COLUMN fence uuid;
