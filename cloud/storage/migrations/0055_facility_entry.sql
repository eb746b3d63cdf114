-- Which device counted the entries of a facility, and since when: visitors of the past stay where
-- they were counted when the device is replaced.
create table facility_entry (
    facility_id int4 not null references facility on delete cascade,
    since       timestamptz not null,
    device_id   int4 references device on delete cascade,
    primary key (facility_id, since)
);
comment on table facility_entry is 'The entry counter of a facility from a time on; kept by a trigger';
comment on column facility_entry.device_id is 'Null: none from then on';

insert into facility_entry
select facility_id, '-infinity', entry_device_id from facility where entry_device_id is not null;

create function eclor_note_entry() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into facility_entry values (new.facility_id, '-infinity', new.entry_device_id);
    elsif new.entry_device_id is distinct from old.entry_device_id then
        insert into facility_entry values (new.facility_id, now(), new.entry_device_id)
        on conflict (facility_id, since) do update set device_id = excluded.device_id;
    end if;
    return null;
end $$;

create trigger note_entry after insert or update of entry_device_id on facility
for each row execute function eclor_note_entry();
