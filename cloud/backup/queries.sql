-- Statements of the restore.

-- name: is_superuser
select rolsuper from pg_roles where rolname = current_user;

-- name: may_restore_timescale
-- A parameter for superusers, unless one of them has granted it.
select rolsuper or has_parameter_privilege('timescaledb.restoring', 'set')
from pg_roles where rolname = current_user;

-- name: is_empty
-- Of tables, views and sequences; those of an extension are no contents.
select not exists (
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e'));

-- name: hand_over
-- One statement for each object that another role than the owner of the database owns. Sequences of
-- columns go with their tables, partitions of TimescaleDB with their hypertable.
with found as (
    select case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
                          when 'S' then 'sequence' else 'table' end as what,
           c.oid::regclass::text as name, c.oid, c.relowner as owner
    from pg_class c
    where c.relnamespace = current_schema()::regnamespace
      and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and not exists (select from pg_depend d
                      where d.objid = c.oid and d.classid = 'pg_class'::regclass
                        and d.refobjsubid > 0 and d.deptype in ('a', 'i'))
    union all
    select 'routine', p.oid::regprocedure::text, p.oid, p.proowner
    from pg_proc p where p.pronamespace = current_schema()::regnamespace)
select format('alter %s %s owner to %I', f.what, f.name, pg_get_userbyid(b.datdba))
from found f join pg_database b on b.datname = current_database() and b.datdba <> f.owner
where not exists (select from pg_depend d where d.objid = f.oid and d.deptype = 'e')
order by f.what, f.name;
