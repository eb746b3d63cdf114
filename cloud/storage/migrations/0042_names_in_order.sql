-- Names by byte order, as listings page through them: a page begins where the last one ended
-- instead of sorting everybody's names.

create index gateway_by_name on gateway (name collate "C");
create index device_by_name on device (gateway_id, name collate "C");
