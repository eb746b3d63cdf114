-- The record of one object, newest first: the last backup is asked for at every scrape.
create index on audit_event (object, audit_id);
