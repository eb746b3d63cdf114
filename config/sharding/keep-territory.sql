-- One territory moves to a database of its own (docs/scaling.md). Run with the roles stopped:
--
--   psql NEW -v territory=pays-haut -v keep=true  -f keep-territory.sql   in the restored copy
--   psql OLD -v territory=pays-haut -v keep=false -f keep-territory.sql   when the new one is served
--
-- keep=true deletes everything of every other territory: rows, registry, ledger, quarantine, audit
-- record, and the keys that are not bound to this territory. keep=false deletes this territory and
-- keeps the audit record. One transaction: all of it or nothing. Every table is found by the column
-- that leads to its owner (series, device, group, facility, gateway, site, territory), so that a
-- table of a later version is included.
\set ON_ERROR_STOP on
begin;
set local statement_timeout = 0;
select set_config('eclor.territory', :'territory', true), set_config('eclor.keep', :'keep', true)
\g /dev/null

do $$
declare
    owner    text;
    leaving  text;
    place    text;
    counted  bigint;
    the_one  constant text := current_setting('eclor.territory');
    keep     constant bool := current_setting('eclor.keep')::bool;
begin
    if not exists (select from territory where slug = the_one) then
        raise exception 'there is no territory %: see eclor provision territory list', the_one;
    end if;
    create temp table gone_territory on commit drop as
        select territory_id, slug from territory where (slug = the_one) <> keep;
    create temp table gone_site on commit drop as
        select site_id from site where territory_id in (select territory_id from gone_territory);
    create temp table gone_gateway on commit drop as
        select gateway_id, name from gateway where site_id in (select site_id from gone_site);
    create temp table gone_device on commit drop as
        select device_id from device where gateway_id in (select gateway_id from gone_gateway);
    create temp table gone_series on commit drop as
        select series_id from series where device_id in (select device_id from gone_device);
    create temp table gone_group on commit drop as
        select group_id from lighting_group
        where territory_id in (select territory_id from gone_territory);
    create temp table gone_facility on commit drop as
        select facility_id from facility where site_id in (select site_id from gone_site);

    -- Everything that stands under the registry, then the registry from its leaves to its root.
    foreach owner in array array['series', 'facility', 'group', 'device', 'gateway', 'site',
                                 'territory'] loop
        leaving := 'gone_' || owner;
        for place in
            select c.relname
            from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attname = owner || '_id'
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
              and not c.relispartition and not a.attisdropped
              and c.relname not in ('series', 'facility', 'lighting_group', 'device', 'gateway',
                                    'site', 'territory')
            order by 1
        loop
            execute format('delete from public.%I where %I in (select %I from %I)',
                           place, owner || '_id', owner || '_id', leaving);
            get diagnostics counted = row_count;
            if counted > 0 then
                raise notice '%: % rows', place, counted;
            end if;
        end loop;
    end loop;
    delete from quarantine where gateway_name in (select name from gone_gateway)
                              or (keep and gateway_name = '');
    delete from quarantine_refused where gateway_name in (select name from gone_gateway)
                                      or (keep and gateway_name = '');
    delete from api_key where keep and territory_id is null;
    delete from audit_event
    where keep and not (
        split_part(split_part(object, ':', 2), '/', 1) in (
            select the_one union all
            select name from gateway where gateway_id not in (select gateway_id from gone_gateway)
            union all select key_id from api_key));

    delete from series where series_id in (select series_id from gone_series);
    delete from facility where facility_id in (select facility_id from gone_facility);
    delete from lighting_group where group_id in (select group_id from gone_group);
    delete from device where device_id in (select device_id from gone_device);
    delete from gateway where gateway_id in (select gateway_id from gone_gateway);
    delete from site where site_id in (select site_id from gone_site);
    delete from territory where territory_id in (select territory_id from gone_territory);
end
$$;
commit;
